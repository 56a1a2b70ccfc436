using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Cli.Options;

/// <summary>The options that describe an adapter, for one method or for several.</summary>
internal sealed class AdapterCommandOptions
{
    public Option<string> Name { get; } =
        new("--adapter")
        {
            Description = "Adapter method; `spectral methods` lists them.",
            HelpName = "NAME",
            DefaultValueFactory = _ => "speclora",
            CustomParser = MethodNames.One,
        };

    public MethodSettingsOption Settings { get; } = new();

    public Option<int> Rank { get; } =
        OptionTypes.Integer(
            "--rank",
            "Rank of the low-rank part; 0 (speclora only) trains the spectral part alone.",
            8,
            0,
            65536
        );

    public Option<double> Alpha { get; } =
        OptionTypes.Number("--alpha", "The low-rank part is scaled by alpha/rank.", 16, x => x > 0, "a number above 0");

    public PatternOption RankPattern { get; } =
        PatternOption.Ranks(
            "--rank-pattern",
            "Ranks of single layers, by expressions on the end of their names; the first that matches wins."
        );

    public PatternOption AlphaPattern { get; } =
        PatternOption.Numbers("--alpha-pattern", "Alphas of single layers, likewise.");

    public Option<bool> RankStabilized { get; } =
        OptionTypes.Flag("--rslora", "Scale by alpha/√rank instead of alpha/rank (arXiv 2312.03732).");

    public Option<string> Bias { get; } =
        OptionTypes.Choice(
            "--bias",
            "Which biases of the model train along: none, those of adapted layers, or all that its linear layers have.",
            BiasNames.None,
            BiasNames.None,
            BiasNames.Adapted,
            BiasNames.All
        );

    public Option<int> TopK { get; } =
        OptionTypes.Integer("--top-k", "Leading singular values that a spectral adapter rescales.", 8, 1, 65536);

    public Option<string> Target { get; } =
        OptionTypes.Targets(
            "Layers to adapt: names or ends of names, separated by commas, lm_head and embed_tokens among them; "
                + "all-linear, which is all but the output head; or an expression that matches full names, such as "
                + "'.*\\.[0-3]\\.self_attn\\.(q|v)_proj'."
        );

    public Option<string> TrainAlso { get; } =
        OptionTypes.List(
            "--train-also",
            "Modules to train whole and store beside the adapter, by the ends of their names (PEFT's modules_to_save), "
                + "such as embed_tokens,lm_head or norm.",
            "NAMES",
            "names, such as embed_tokens,norm"
        );

    public TrainTokensOption TrainTokens { get; } = new();

    public Option<bool> KeepTied { get; } =
        OptionTypes.Flag(
            "--keep-tied",
            "A head that is tied to the embedding follows one that is adapted or trained whole (PEFT's "
                + "ensure_weight_tying); otherwise the two part."
        );

    public Option<double> Dropout { get; } =
        OptionTypes.Number(
            "--dropout",
            "Share of the adapter's input that is dropped while training.",
            0,
            x => x is >= 0 and < 1,
            "a number from 0 to below 1"
        );

    public Option<double> LearningRateRatio { get; } =
        OptionTypes.Number(
            "--lr-ratio",
            "Learning rate of lora_B over that of lora_A, which keeps --lr; LoRA+ (arXiv 2402.12354) takes 16.",
            1,
            x => x > 0 && double.IsFinite(x),
            "a number above 0"
        );

    public Option<string> Svd { get; } =
        OptionTypes.Choice(
            "--svd",
            "How singular values are found; auto is exact up to a smaller dimension of 512.",
            "auto",
            "auto",
            "exact",
            "randomized"
        );

    /// <summary>How many records a method that starts from data looks at.</summary>
    public Option<int> CalibrationRecords { get; } =
        OptionTypes.Integer(
            "--calibration-records",
            "Records of --data that a method which starts from data looks at: the first of the run.",
            64,
            1
        );

    /// <summary>The folder of a trained adapter to start from.</summary>
    public Option<string?> InitAdapter { get; } =
        OptionTypes.Path(
            "--init-adapter",
            "Start from this adapter; its method, rank, alpha, top-k, dropout and targets hold.",
            "DIR"
        );

    /// <summary>The folder of the adapter of earlier tasks.</summary>
    public Option<string?> Previous { get; } =
        OptionTypes.Path(
            "--previous-adapter",
            "Adapter of the tasks before, for a method that keeps clear of them (o-lora).",
            "DIR"
        );

    /// <summary>The options that hold for every method, one or several.</summary>
    public Option[] Shared =>
        [
            Rank,
            Alpha,
            RankPattern.Option,
            AlphaPattern.Option,
            RankStabilized,
            Bias,
            TopK,
            Target,
            Settings.Option,
            Dropout,
            LearningRateRatio,
            Svd,
            CalibrationRecords,
        ];

    /// <summary>All options, for a command that trains one adapter.</summary>
    public Option[] All => [Name, .. Shared, TrainAlso, TrainTokens.Option, KeepTied, InitAdapter, Previous];

    /// <summary>Attaches the adapter to start from, to be trained at the rates of this run.</summary>
    public Adapter Load(CommandContext context, CausalLanguageModel model, string directory) =>
        Adapter.Load(model, directory, context.Get(LearningRateRatio));

    public AdapterMethod Method(CommandContext context) => AdapterMethods.Find(context.Get(Name));

    /// <summary>Reads the options for a new adapter of the method that they name.</summary>
    /// <inheritdoc cref="Read(CommandContext, AdapterMethod, IReadOnlyList{AdapterMethod}?)"/>
    public AdapterOptions Read(CommandContext context)
    {
        AdapterMethod chosen = Method(context);
        if (context.Get(Rank) > 1 && context.Get(InitAdapter) is null)
            context.SavesMemory.Add($"--rank {context.Get(Rank) / 2}");
        AdapterOptions options = Read(context, chosen) with
        {
            ModulesToSave = ModulesToSave(context),
            KeepTied = context.Get(KeepTied),
        };
        return context.Get(Previous) is { } directory ? options.After(chosen, directory) : options;
    }

    /// <summary>Reads the options for an adapter method.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="method">The method.</param>
    /// <param name="among">All methods that the options are given for: a setting holds for those that have it. The
    /// method alone if not given.</param>
    /// <exception cref="InputException">None of these methods has such a setting, or its value is out of
    /// range.</exception>
    public AdapterOptions Read(
        CommandContext context,
        AdapterMethod method,
        IReadOnlyList<AdapterMethod>? among = null
    ) =>
        new()
        {
            Settings = Settings.Read(context, method, among ?? [method]),
            Rank = context.Get(Rank),
            Alpha = context.Get(Alpha),
            RankPattern = [.. RankPattern.Read(context).Select(pair => KeyValuePair.Create(pair.Key, (int)pair.Value))],
            AlphaPattern = [.. AlphaPattern.Read(context)],
            RankStabilized = context.Get(RankStabilized),
            Bias = BiasNames.Parse(context.Get(Bias)),
            TopK = context.Get(TopK),
            TargetModules = AdapterTargets.Parse(context.Get(Target)),
            Dropout = context.Get(Dropout),
            LearningRateRatio = context.Get(LearningRateRatio),
            Svd = Enum.Parse<SvdMethod>(context.Get(Svd), ignoreCase: true),
        };

    /// <summary>Returns the modules of --train-also.</summary>
    public string[] ModulesToSave(CommandContext context) =>
        context.Get(TrainAlso) is { Length: > 0 } list ? OptionTypes.Entries(list) : [];
}
