using System.Globalization;
using System.Numerics.Tensors;
using System.Text.RegularExpressions;
using Spectral.Training.IO;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class AssemblyOfExpertsMerge : OneModelMerge
{
    private const string WeightsName = "weights";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    public override string Name => "assembly-of-experts";

    public override string Formula => "θ_t = Σ λ_i,t θ_i,t, λ_t of the first expression that matches the tensor's name";

    public override string Source =>
        "Klagges et al., \"Assembly of Experts: Linear-time construction of the Chimera LLM variants\", 2025, "
        + "arXiv 2506.14794";

    public override string Use =>
        "Takes each tensor from the parents in its own proportions, for example feed-forward blocks from one and "
        + "attention from another. Weights count on whole tensors and are not divided by their sum; tensors that no "
        + "expression matches stay as in the base.";

    public override IReadOnlyList<TextSetting> TextSettings { get; } =
    [
        new(
            WeightsName,
            "REGEX=X,X;…",
            "Expressions on tensor names, each with one weight for every input, separated by semicolons."
        )
        {
            IsRequired = true,
        },
    ];

    public override bool DependsOnOrder => true;

    internal override bool ChangesUntouched => true;

    internal override TensorMerge Begin(MergeRun run)
    {
        (Regex Names, float[] Weights)[] rules =
        [
            .. run.Text(WeightsName)!.Split(';').Select(rule => Parse(rule, run)),
        ];
        return tensor =>
        {
            float[]? weights = Array.Find(rules, rule => rule.Names.IsMatch(tensor.Name)).Weights;
            return (piece, result) =>
            {
                if (weights is null)
                {
                    piece.Base.CopyTo(result);
                    return;
                }

                result.Clear();
                for (int i = 0; i < weights.Length; i++)
                {
                    if (weights[i] != 0)
                        TensorPrimitives.MultiplyAdd(piece.Values(i), weights[i], result, result);
                }
            };
        };
    }

    private static (Regex Names, float[] Weights) Parse(string rule, MergeRun run)
    {
        int equals = rule.LastIndexOf('=');
        string[] weights = equals < 1 ? [] : rule[(equals + 1)..].Split(',', StringSplitOptions.TrimEntries);
        float[] parsed = [.. weights.Select(Number)];
        if (parsed.Length != run.Inputs || !Array.TrueForAll(parsed, float.IsFinite))
        {
            throw new InputException(
                $"setting {WeightsName}: {InputText.Quote(rule)}, expected REGEX= and {run.Inputs} numbers separated "
                    + "by commas, one for each input"
            );
        }

        try
        {
            return (new Regex(rule[..equals], RegexOptions.CultureInvariant, Patience), parsed);
        }
        catch (RegexParseException error)
        {
            throw new InputException($"setting {WeightsName}: {InputText.Quote(rule)}: {error.Message}", error);
        }
    }

    private static float Number(string text) =>
        float.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out float number) ? number : float.NaN;
}
