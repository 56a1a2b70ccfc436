using System.CommandLine;
using Spectral.Cli.Hosting;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters;
using Spectral.Training.Data;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Cli.Options;

/// <summary>The options that describe an adapter, for one method or for several.</summary>
/// <param name="trains">Whether the command trains, so that --set takes those of an optimizer and a loss too.</param>
internal sealed class AdapterCommandOptions(bool trains)
{
    public Option<string> Name { get; } =
        new("--adapter")
        {
            Description = "Adapter method; `spectral methods` lists them.",
            HelpName = "NAME",
            DefaultValueFactory = _ => "speclora",
            CustomParser = MethodNames.One,
        };

    public MethodSettingsOption Settings { get; } = new(trains);

    public Option<int> Rank { get; } =
        OptionTypes.Integer(
            "--rank",
            "Rank of the low-rank part; 0 (speclora only) trains the spectral part alone.",
            8,
            0,
            65536
        );

    public Option<double> Alpha { get; } =
        OptionTypes.Number(
            "--alpha",
            "Scale of the low-rank part, which is multiplied by alpha/rank.",
            16,
            x => x > 0,
            "a number above 0"
        );

    public PatternOption RankPattern { get; } =
        PatternOption.Ranks(
            "--rank-pattern",
            "Ranks for single layers: regular expressions that match the ends of their names; the first match counts, "
                + "and a layer of rank 0 gets no adapter. `spectral place` writes such a file."
        );

    public PatternOption AlphaPattern { get; } =
        PatternOption.Numbers("--alpha-pattern", "Alphas for single layers, in the same form.");

    public Option<bool> RankStabilized { get; } =
        OptionTypes.Flag("--rslora", "Scale by alpha/√rank instead of alpha/rank (arXiv 2312.03732).");

    public BiasOption Bias { get; } = new();

    public Option<int> TopK { get; } =
        OptionTypes.Integer(
            "--top-k",
            "Number of leading singular values that a spectral adapter rescales.",
            8,
            1,
            65536
        );

    public Option<string> TargetParameters { get; } =
        OptionTypes.List(
            "--target-parameters",
            "Parameters of all experts of a layer (PEFT's target_parameters): mlp.experts.gate_up_proj, "
                + "mlp.experts.down_proj, or ends of these, separated by commas. They may be among --target too.",
            "NAMES",
            "names of parameters, such as experts.gate_up_proj,experts.down_proj",
            parse: text => text.Length == 0 ? [] : OptionTypes.Entries(text)
        );

    public Option<string> Target { get; } =
        OptionTypes.Targets(
            "Target modules: names or ends of names, separated by commas, which may include lm_head and embed_tokens; "
                + "or all-linear, for all linear layers except the output head; or a regular expression that matches "
                + "full names, such as '.*\\.[0-3]\\.self_attn\\.(q|v)_proj'."
        );

    public Option<string> TrainAlso { get; } =
        OptionTypes.List(
            "--train-also",
            "Modules to train in full and store with the adapter, by the ends of their names, such as "
                + "embed_tokens,lm_head or norm (PEFT's modules_to_save).",
            "NAMES",
            "names, such as embed_tokens,norm"
        );

    public TrainTokensOption TrainTokens { get; } = new();

    public Option<bool> KeepTied { get; } =
        OptionTypes.Flag(
            "--keep-tied",
            "Keep a tied output head equal to an embedding that is adapted or trained in full (PEFT's "
                + "ensure_weight_tying); without this option, the two are untied."
        );

    public Option<double> Dropout { get; } =
        OptionTypes.Number(
            "--dropout",
            "Dropout probability on the adapter's input during training.",
            0,
            x => x is >= 0 and < 1,
            "a number from 0 to below 1"
        );

    public Option<double> LearningRateRatio { get; } =
        OptionTypes.Number(
            "--lr-ratio",
            "Learning rate of lora_B divided by that of lora_A, which is --lr; LoRA+ (arXiv 2402.12354) uses 16.",
            1,
            x => x > 0 && double.IsFinite(x),
            "a number above 0"
        );

    public Option<string> Svd { get; } =
        OptionTypes.Choice(
            "--svd",
            "How singular values are computed; auto is exact for matrices whose smaller dimension is at most 512.",
            "auto",
            "auto",
            "exact",
            "randomized"
        );

    /// <summary>The soft prompt beside the layers.</summary>
    public SoftPromptOption SoftPrompt => field ??= new SoftPromptOption(Settings.All);

    /// <summary>The text that a soft prompt starts from.</summary>
    public Option<string?> PromptText { get; } =
        OptionTypes.OptionalText(
            "--prompt-text",
            "Text whose embeddings a soft prompt starts from, with --set init=text.",
            "TEXT"
        );

    /// <summary>The text that activates an adapter.</summary>
    public Option<string?> Invocation { get; } =
        OptionTypes.OptionalText(
            "--invocation",
            "Text from whose tokens on an activated adapter acts (PEFT's alora_invocation_tokens): the last time that "
                + "a record says it.",
            "TEXT"
        );

    /// <summary>How many records calibrate a method that starts from data.</summary>
    public Option<int> CalibrationRecords { get; } =
        OptionTypes.Integer(
            "--calibration-records",
            "Number of records that calibrate a method that starts from data: the first of the run.",
            64,
            1
        );

    /// <summary>The records that calibrate a method that starts from data, if not those of the run.</summary>
    public Option<string?> CalibrationData { get; } =
        OptionTypes.Path(
            "--calibration-data",
            "Records that calibrate a method that starts from data, in place of those of the run. For a method that "
                + "keeps what the model does on them (kore), records of that.",
            "FILE"
        );

    /// <summary>The folder of a trained adapter to start from.</summary>
    public Option<string?> InitAdapter { get; } =
        OptionTypes.Path(
            "--init-adapter",
            "Trained adapter to start from; it sets the method, rank, alpha, top-k, dropout and targets.",
            "DIR"
        );

    /// <summary>The folder of the adapter of earlier tasks.</summary>
    public Option<string?> Previous { get; } =
        OptionTypes.Path(
            "--previous-adapter",
            "Adapter of earlier tasks, for a method that keeps its changes orthogonal to it (o-lora).",
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
            Bias.Option,
            TopK,
            Target,
            TargetParameters,
            Settings.Option,
            Dropout,
            LearningRateRatio,
            Svd,
            CalibrationRecords,
            CalibrationData,
        ];

    /// <summary>All options, for a command that trains one adapter.</summary>
    public Option[] All =>
        [
            Name,
            .. Shared,
            TrainAlso,
            TrainTokens.Option,
            KeepTied,
            SoftPrompt.Name,
            PromptText,
            Invocation,
            InitAdapter,
            Previous,
        ];

    /// <summary>Loads the adapter to start from, with the learning rates of this run.</summary>
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
            SoftPrompt = SoftPrompt.Read(context, chosen),
            PromptText = context.Get(PromptText) is { } text ? new PromptText(text, []) : null,
        };
        return context.Get(Previous) is { } directory ? options.After(chosen, directory) : options;
    }

    /// <summary>Reads the options for an adapter method.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="method">The method.</param>
    /// <param name="among">All methods that the options are given for; a setting applies to those that have it. Null:
    /// the method alone.</param>
    /// <exception cref="InputException">None of these methods has such a setting, or its value is out of
    /// range.</exception>
    public AdapterOptions Read(
        CommandContext context,
        AdapterMethod method,
        IReadOnlyList<AdapterMethod>? among = null
    ) =>
        Bias.Apply(
            context,
            new AdapterOptions
            {
                Settings = Settings.Read(context, method, among ?? [method]),
                Rank = context.Get(Rank),
                Alpha = context.Get(Alpha),
                RankPattern =
                [
                    .. RankPattern.Read(context).Select(pair => KeyValuePair.Create(pair.Key, (int)pair.Value)),
                ],
                AlphaPattern = [.. AlphaPattern.Read(context)],
                RankStabilized = context.Get(RankStabilized),
                TopK = context.Get(TopK),
                TargetModules = AdapterTargets.Parse(context.Get(Target)),
                TargetParameters = context.Get(TargetParameters) is { Length: > 0 } list
                    ? OptionTypes.Entries(list)
                    : [],
                Dropout = context.Get(Dropout),
                LearningRateRatio = context.Get(LearningRateRatio),
                Svd = Enum.Parse<SvdMethod>(context.Get(Svd), ignoreCase: true),
            }
        );

    /// <summary>Completes the options with what takes a tokenizer: tokens to train, and those of a text.</summary>
    public AdapterOptions Encode(CommandContext context, AdapterOptions options, BpeTokenizer tokenizer) =>
        options with
        {
            TrainableTokens = TrainTokens.Read(context, tokenizer),
            PromptText = options.PromptText is { } text
                ? text with
                {
                    Tokens = tokenizer.EncodePrompt(text.Text),
                }
                : null,
            InvocationTokens = InvocationTokens(context, tokenizer),
        };

    /// <summary>Encodes the text that activates an adapter; empty: there is none.</summary>
    public IReadOnlyList<int> InvocationTokens(CommandContext context, BpeTokenizer tokenizer) =>
        context.Get(Invocation) is { } text ? tokenizer.Encode(text, addSpecialTokens: false) : [];

    /// <summary>Reads and encodes the records of --calibration-data.</summary>
    /// <returns>The records; null without the option.</returns>
    /// <exception cref="InputException">
    /// The file is not valid, or it is not given although the method cannot do without it.
    /// </exception>
    public EncodedRecord[]? Calibration(
        CommandContext context,
        ModelInputs inputs,
        AdapterMethod method,
        TrainingOptions training
    )
    {
        RequireCalibration(context, method);
        return context.Get(CalibrationData) is { } file ? training.EncodeCalibration(context, inputs, file) : null;
    }

    /// <summary>Checks that a method which keeps what the model does on some records is given these.</summary>
    /// <exception cref="InputException">It is not.</exception>
    public void RequireCalibration(CommandContext context, AdapterMethod method)
    {
        if (!method.CalibratesOnKept || context.Get(CalibrationData) is not null)
            return;
        throw new InputException(
            $"{method.Name} keeps what the model does on some records: expected {CalibrationData.Name} FILE with them"
        );
    }

    /// <summary>Returns the modules of --train-also.</summary>
    public string[] ModulesToSave(CommandContext context) =>
        context.Get(TrainAlso) is { Length: > 0 } list ? OptionTypes.Entries(list) : [];
}
