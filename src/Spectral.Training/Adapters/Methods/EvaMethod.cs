using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Calibration;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// EVA: A starts as the principal directions of the layer's inputs on calibration data, B at zero. Ranks go to the
/// directions that explain most of the inputs' variance: the largest explained shares of all layers win, as many as
/// there are ranks in total, but at most round(ρr) in one layer. A layer without any gets no adapter. α changes with
/// the rank, so that s is the same for all.
/// </summary>
internal sealed class EvaMethod : AdapterMethod
{
    private const string LabelMask = "use-label-mask";

    public override string Name => "eva";
    public override string Formula =>
        "W + (alpha/rank)·B·A, A begins as the principal directions of the layer's inputs; ranks shared "
        + "out by explained variance";
    public override string Source => "Paischer et al., 2024, arXiv 2410.07170";
    public override string Use =>
        "Spends a fixed number of ranks where the data varies most. Its files are plain LoRA with a rank per layer.";
    public override string PeftType => AdapterConfig.Lora;
    public override string? PeftInit => "eva";
    public override bool StartsFromData => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        new("rho", 2, 1, 64, "The largest rank of a layer, in multiples of the rank; 1 keeps all ranks equal."),
        new(
            "tau",
            0.99,
            0,
            1,
            "Smallest |cosine| between a direction before and after a batch at which it counts as converged."
        ),
        AdapterSetting.Switch(LabelMask, true, "Ignore the tokens of prompts, which carry no loss."),
        AdapterSetting.Switch("whiten", false, "Divide each direction by the square root of its singular value."),
    ];

    public override IReadOnlyList<AdapterOptions?> Distribute(
        IReadOnlyList<ModuleShape> modules,
        AdapterOptions options,
        ICalibration? calibration
    )
    {
        if (options.Rank < 1)
            throw new InputException($"rank {options.Rank}: eva needs a rank of at least 1");
        int most = (int)Math.Round(options.Setting(this, "rho") * options.Rank);
        IReadOnlyList<InputDirections> found = Directions(
            calibration!,
            modules.Select(module => module.Name),
            most,
            options
        );
        IEnumerable<(double Share, int Place, int Module)> shares = found.SelectMany(
            (directions, module) =>
                directions.ExplainedVariance.Take(most).Select((share, place) => (share, place, module))
        );
        int[] ranks = new int[modules.Count];
        foreach (
            (double _, int _, int module) in shares
                .OrderByDescending(candidate => candidate.Share)
                .ThenBy(candidate => candidate.Place)
                .Take(options.Rank * modules.Count)
        ) // of equal shares, leading directions come first, then they are in model order
        {
            ranks[module]++;
        }

        return [.. ranks.Select(rank => rank == 0 ? null : options.AtRank(rank))];
    }

    public override AdapterForm Form(AdapterBuilder layer) =>
        new()
        {
            Terms =
            [
                new(
                    layer.Trained(LoraNames.B, (layer.Out, layer.Rank)),
                    layer.Trained(LoraNames.A, (layer.Rank, layer.In)),
                    layer.Options.Scale
                ),
            ],
        };

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        // The largest rank that was distributed. The calibration still holds the directions for it.
        int most = starts.Max(start => start.Options.Rank);
        IEnumerable<string> modules = starts.Select(start => start.Module.Name);
        IReadOnlyList<InputDirections> found = Directions(starts[0].Calibration, modules, most, starts[0].Options);
        foreach ((AdapterStart start, InputDirections directions) in starts.Zip(found))
        {
            float[] values = directions.Vectors[..(start.Options.Rank * directions.Features)];
            if (start.Options.Setting(this, "whiten") == 1)
            {
                for (int i = 0; i < values.Length; i++)
                {
                    values[i] /= MathF.Sqrt(
                        Math.Max(directions.SingularValues[i / directions.Features], float.Epsilon)
                    );
                }
            }

            start[LoraNames.A].CopyFrom(values);
        }
    }

    private IReadOnlyList<InputDirections> Directions(
        ICalibration calibration,
        IEnumerable<string> modules,
        int most,
        AdapterOptions options
    )
    {
        string mask = Settings.First(setting => setting.Name == LabelMask).Describe(options.Setting(this, LabelMask));
        return calibration.InputDirections([.. modules], most, options.Setting(this, "tau"), labelled: mask == "on");
    }
}
