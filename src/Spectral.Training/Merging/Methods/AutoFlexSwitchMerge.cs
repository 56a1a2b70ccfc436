using Spectral.Kernels;
using Spectral.Training.Compression;
using Spectral.Training.Compression.Methods;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Routing;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class AutoFlexSwitchMerge : MergeMethod
{
    private const string Neighbours = "neighbours";

    public override string Name => "auto-flexswitch";

    public override string Formula =>
        "a prompt x runs in θ0 + τ̂_i, τ̂_i = s_i sign(τ_i)[the largest ⌊density · n⌋ of ∣τ_i∣ in each linear weight], "
        + "s_i the mean of those ∣τ_i∣; i the input that most of the k queries q with the smallest ‖f(x) − f(q)‖₂ "
        + "belong to, of inputs with equally many the one with the nearest; f(x) the mean over the tokens of x of the "
        + "base's last hidden states, after the final norm";

    public override string Source =>
        "Gao et al., \"Auto-FlexSwitch: Efficient Dynamic Model Merging via Learnable Task Vector Compression\", 2026, "
        + "arXiv 2604.28109, and its training-free form in Qi et al., 2024, arXiv 2412.00054";

    public override string Use =>
        "Keeps the inputs apart, each in a bit or two per weight, and chooses one for every prompt, so that none loses "
        + "to another. The records of --data are the queries of each input: prompts of its task, 100 of which do; "
        + "answers are not used. The result is no model but a folder of experts, which spectral eval and generate take "
        + "as --adapter. The published code mixes the inputs by their shares among the neighbours, and takes the state "
        + "of the first token of an encoder; here the majority decides, the state is the mean over the tokens, and "
        + "neither densities nor the metric are learnt.";

    public override bool IsPublishedForm => false;

    public override MergeUses Uses => MergeUses.Density;

    public override MergeData Data => MergeData.PerInput;

    public override double DefaultDensity => 0.4;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(
            Neighbours,
            10,
            1,
            1_000_000,
            "The number k of queries that decide, at most as many as there are records."
        ),
    ];

    internal override int Write(MergeRun run, string directory)
    {
        int queries = run.Options.Data.Sum(records => records.Count);
        int neighbours = (int)run.Setting(Neighbours);
        if (neighbours > queries)
        {
            throw new InputException(
                $"setting {Neighbours}={neighbours}: there are {queries} records in all, expected at most as many"
            );
        }

        float[][][] features = Features(run);
        List<(string, string, float[][])> experts = [];
        int tensors = 0;
        for (int i = 0; i < run.Inputs; i++)
        {
            string folder = $"expert-{i + 1}";
            tensors += Compress(run, i, Directory.CreateDirectory(Path.Combine(directory, folder)).FullName);
            experts.Add((run.DirectoryOf(i), folder, features[i]));
        }
        ExpertFolder.Write(directory, Name, neighbours, experts);
        return tensors + experts.Count;
    }

    private static float[][][] Features(MergeRun run)
    {
        using var model = CausalLanguageModel.Load(run.Model, run.Device, DType.F32);
        return
        [
            .. run.Options.Data.Select(records =>
                PromptFeatures.Of(
                    model,
                    [.. records.Select(PromptFeatures.TokensOf)],
                    run.Options.Batch,
                    run.Cancellation
                )
            ),
        ];
    }

    /// <summary>Packs an input into a folder and returns the number of tensors written.</summary>
    private static int Compress(MergeRun run, int input, string folder)
    {
        CompressionOptions options = new()
        {
            Type = run.Options.Type,
            Settings = new Dictionary<string, double> { [FlexSwitchCompression.Density] = run.Density },
        };
        return Compressor
            .Compress(
                new FlexSwitchCompression(),
                run.DirectoryOf(input),
                folder,
                options,
                run.Device,
                run.Model,
                progress =>
                    run.Report(
                        new MergeProgress(
                            (input * progress.Total) + progress.Done,
                            run.Inputs * progress.Total,
                            progress.Layer
                        )
                    ),
                run.Cancellation
            )
            .Tensors;
    }
}
