using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// DEFT: what the weight writes into r trained directions P is taken out, and a trained R [r, in] put in its place. It
/// is one low-rank term, P·(s·R − relu(P)ᵀ·W), of which the product with W is computed once per step. PaRa takes out
/// without putting in.
/// </summary>
internal sealed class DeftMethod : AdapterMethod
{
    private const string P = "deft_P";
    private const string Para = "para";

    public override string Name => "deft";
    public override string Formula =>
        "W + P·(s·R - relu(P)ᵀ·W), s = alpha/rank, or 1 for alpha 0; with para: without s·R";
    public override string Source => "DEFT: Decompositional Efficient Fine-Tuning, 2025; PaRa, 2024, arXiv 2406.05641";
    public override string Use =>
        "Replaces what a layer writes into a few trained directions. Costs a thin product with W per step. PEFT's "
        + "decomposition qr is not supported; dropout here acts on all of the change, there on s·R alone.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [
        PeftField.Rank(8),
        PeftField.Alpha("alpha", 0),
        PeftField.Dropout("deft_dropout"),
        PeftField.Bias("deft_only"),
        PeftField.FanInFanOut,
        PeftField.Is("decomposition_method", "relu"),
        .. PeftField.Ignored("init_scale"),
    ];

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Switch(Para, false, "Only take out, which changes the weight from the start.") with
        {
            PeftKey = Para,
        },
    ];

    /// <summary>Corrects the rank, which PEFT limits to the outputs of a layer.</summary>
    internal override AdapterOptions Observe(AdapterOptions options, Func<string, IReadOnlyList<long>?> shape) =>
        shape(P) is [_, >= 1 and var rank] && rank < options.Rank ? options with { Rank = (int)rank } : options;

    /// <exception cref="InputException">The rank is larger than the number of outputs.</exception>
    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.RankWithin(layer.Out);
        double scale = layer.Options.Alpha == 0 ? 1 : layer.Options.Scale;
        Factor p = layer.Trained(P, (layer.Out, rank), Start.Normal(0.02));
        Expression read = p.Max(0);
        Expression change = read.MatMul(layer.Weight, transposeA: true, scale: -1);
        if (!layer.IsOn(Para))
        {
            Expression start = read.MatMul(layer.Weight, transposeA: true, scale: 1 / scale);
            change = layer.Trained("deft_R", (rank, layer.In), Start.CopyOf(start)).Add(change, scale, 1);
        }

        return new AdapterForm { Terms = [new(p, change)] };
    }
}
