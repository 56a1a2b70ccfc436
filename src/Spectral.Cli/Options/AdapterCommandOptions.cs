using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Spectral.Cli.Hosting;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Tokenization;

namespace Spectral.Cli.Options;

/// <summary>The options that describe an adapter, for one method or for several.</summary>
internal sealed class AdapterCommandOptions
{
    private readonly Option<string> _method = new("--adapter")
    {
        Description = "Adapter method; `spectral methods` lists them.",
        HelpName = "NAME",
        DefaultValueFactory = _ => "speclora",
        CustomParser = result => MethodName(result),
    };

    // Read by hand: of other options the last one given counts, of these each.
    private readonly Option<string[]> _set = new("--set")
    {
        Description =
            "A setting of the method's own; may be given several times. `spectral methods --adapter NAME` lists them.",
        HelpName = "NAME=VALUE",
        CustomParser = result =>
        {
            string[] values = [.. result.Tokens.Select(token => token.Value)];
            if (values.FirstOrDefault(value => value.IndexOf('=') < 1) is { } odd)
                result.AddError(OptionTypes.Complaint("--set", odd, "NAME=VALUE"));
            return values;
        },
    };

    private readonly Option<int> _rank = OptionTypes.Integer(
        "--rank",
        "Rank of the low-rank part; 0 (speclora only) trains the spectral part alone.",
        8,
        0,
        65536
    );
    private readonly Option<double> _alpha = OptionTypes.Number(
        "--alpha",
        "The low-rank part is scaled by alpha/rank.",
        16,
        x => x > 0,
        "a number above 0"
    );
    private readonly Option<string> _rankPattern = Pattern(
        "--rank-pattern",
        "Ranks of single layers, by expressions on the end of their names; the first that matches wins.",
        "REGEX=R,…",
        text =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int value)
            && value is >= 1 and <= 65536
                ? value
                : null
    );
    private readonly Option<string> _alphaPattern = Pattern(
        "--alpha-pattern",
        "Alphas of single layers, likewise.",
        "REGEX=X,…",
        text =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            && double.IsFinite(value)
            && value > 0
                ? value
                : null
    );
    private readonly Option<bool> _rslora = OptionTypes.Flag(
        "--rslora",
        "Scale by alpha/√rank instead of alpha/rank (arXiv 2312.03732)."
    );
    private readonly Option<string> _bias = OptionTypes.Choice(
        "--bias",
        "Which biases of the model train along: none, those of adapted layers, or all that its linear layers have.",
        "none",
        "none",
        "lora_only",
        "all"
    );
    private readonly Option<int> _topK = OptionTypes.Integer(
        "--top-k",
        "Leading singular values that a spectral adapter rescales.",
        8,
        1,
        65536
    );
    private readonly Option<string> _target = OptionTypes.Targets(
        "Layers to adapt: names or ends of names, separated by commas, lm_head and embed_tokens among them; "
            + "all-linear, which is all but the output head; or an expression that matches full names, such as "
            + "'.*\\.[0-3]\\.self_attn\\.(q|v)_proj'."
    );
    private readonly Option<string> _trainAlso = OptionTypes.List(
        "--train-also",
        "Modules to train whole and store beside the adapter, by the ends of their names (PEFT's modules_to_save), "
            + "such as embed_tokens,lm_head or norm.",
        "NAMES",
        "names, such as embed_tokens,norm"
    );
    private readonly Option<bool> _keepTied = OptionTypes.Flag(
        "--keep-tied",
        "A head that is tied to the embedding follows one that is adapted or trained whole (PEFT's "
            + "ensure_weight_tying); otherwise the two part."
    );
    private readonly Option<string> _trainTokens = OptionTypes.List(
        "--train-tokens",
        "Tokens, by id or text, whose rows of the embedding train and are stored beside the adapter (PEFT's "
            + "trainable_token_indices); a tied head follows.",
        "TOKENS",
        "tokens, such as 128000,<tool>"
    );
    private readonly Option<double> _dropout = OptionTypes.Number(
        "--dropout",
        "Share of the adapter's input that is dropped while training.",
        0,
        x => x is >= 0 and < 1,
        "a number from 0 to below 1"
    );
    private readonly Option<double> _ratio = OptionTypes.Number(
        "--lr-ratio",
        "Learning rate of lora_B over that of lora_A, which keeps --lr; LoRA+ (arXiv 2402.12354) takes 16.",
        1,
        x => x > 0 && double.IsFinite(x),
        "a number above 0"
    );
    private readonly Option<string> _svd = OptionTypes.Choice(
        "--svd",
        "How singular values are found; auto is exact up to a smaller dimension of 512.",
        "auto",
        "auto",
        "exact",
        "randomized"
    );

    /// <summary>Data of methods that start from it.</summary>
    public Option<int> CalibrationRecords { get; } =
        OptionTypes.Integer(
            "--calibration-records",
            "Records of --data that a method which starts from data looks at: the first of the run.",
            64,
            1
        );

    /// <summary>A trained adapter to go on from.</summary>
    public Option<string?> InitAdapter { get; } =
        OptionTypes.Path(
            "--init-adapter",
            "Start from this adapter; its method, rank, alpha, top-k, dropout and targets hold.",
            "DIR"
        );

    /// <summary>The tasks before.</summary>
    public Option<string?> Previous { get; } =
        OptionTypes.Path(
            "--previous-adapter",
            "Adapter of the tasks before, for a method that keeps clear of them (o-lora).",
            "DIR"
        );

    /// <summary>Those that hold whatever the method is.</summary>
    public Option[] Shared =>
        [
            _rank,
            _alpha,
            _rankPattern,
            _alphaPattern,
            _rslora,
            _bias,
            _topK,
            _target,
            _set,
            _dropout,
            _ratio,
            _svd,
            CalibrationRecords,
        ];

    public Option[] All => [_method, .. Shared, _trainAlso, _trainTokens, _keepTied, InitAdapter, Previous];

    /// <summary>Attaches the adapter to start from, to be trained at the rates of this run.</summary>
    public Adapter Load(CommandContext context, CausalLanguageModel model, string directory) =>
        Adapter.Load(model, directory, context.Get(_ratio));

    public AdapterMethod Method(CommandContext context) => AdapterMethods.Find(context.Get(_method));

    /// <summary>What the options mean to the method they name, which starts afresh.</summary>
    /// <inheritdoc cref="Read(CommandContext, AdapterMethod, IReadOnlyList{AdapterMethod}?)"/>
    public AdapterOptions Read(CommandContext context)
    {
        AdapterMethod chosen = Method(context);
        if (context.Get(_rank) > 1 && context.Get(InitAdapter) is null)
            context.SavesMemory.Add($"--rank {context.Get(_rank) / 2}");
        AdapterOptions options = Read(context, chosen) with
        {
            ModulesToSave = Whole(context),
            KeepTied = context.Get(_keepTied),
        };
        return context.Get(Previous) is { } directory ? options.After(chosen, directory) : options;
    }

    /// <summary>The tokens whose rows train.</summary>
    /// <exception cref="InputException">A text is not one token.</exception>
    public KeyValuePair<string, IReadOnlyList<int>>[] Tokens(CommandContext context, BpeTokenizer tokenizer) =>
        context.Get(_trainTokens) is { Length: > 0 } list
            ? [KeyValuePair.Create("embed_tokens", TokensOf(list, tokenizer))]
            : [];

    /// <summary>What the options mean to a method.</summary>
    /// <param name="context">The command line.</param>
    /// <param name="method">The method.</param>
    /// <param name="among">All methods that the options are given for: a setting holds for those that have it. The
    /// method alone if not given.</param>
    /// <exception cref="InputException">A setting is none of theirs, or out of its range.</exception>
    public AdapterOptions Read(
        CommandContext context,
        AdapterMethod method,
        IReadOnlyList<AdapterMethod>? among = null
    ) =>
        new()
        {
            Settings = Settings(context, method, among ?? [method]),
            Rank = context.Get(_rank),
            Alpha = context.Get(_alpha),
            RankPattern =
            [
                .. Entries(context.Get(_rankPattern)).Select(pair => KeyValuePair.Create(pair.Key, (int)pair.Value)),
            ],
            AlphaPattern = [.. Entries(context.Get(_alphaPattern))],
            RankStabilized = context.Get(_rslora),
            Bias = Biases(context.Get(_bias)),
            TopK = context.Get(_topK),
            TargetModules = AdapterTargets.Parse(context.Get(_target)),
            Dropout = context.Get(_dropout),
            LearningRateRatio = context.Get(_ratio),
            Svd = Enum.Parse<SvdMethod>(context.Get(_svd), ignoreCase: true),
        };

    /// <summary>Every option given for fresh adapters has to change something in one of them.</summary>
    /// <exception cref="InputException">One changes nothing.</exception>
    public void RequireUsed(CommandContext context, params IReadOnlyList<MethodFacts> methods)
    {
        Require(_rank, nameof(AdapterOptions.Rank), "has no rank");
        Require(_rankPattern, nameof(AdapterOptions.Rank), "has no rank");
        Require(_alpha, nameof(AdapterOptions.Alpha), "has no scale");
        Require(_alphaPattern, nameof(AdapterOptions.Alpha), "has no scale");
        Require(_rslora, nameof(AdapterOptions.RankStabilized), "has no scale of that kind");
        Require(_topK, nameof(AdapterOptions.TopK), "rescales no singular values");
        Require(_dropout, nameof(AdapterOptions.Dropout), "has no input to drop");
        Require(_ratio, nameof(AdapterOptions.LearningRateRatio), "has no factors of two rates");
        Require(_svd, nameof(AdapterOptions.Svd), "has no choice of an SVD");
        if (Biases(context.Get(_bias)) != AdapterBias.None)
            Require(_bias, nameof(AdapterOptions.Bias), "has no layer with a bias in this model");
        if (context.IsGiven(CalibrationRecords) && !methods.Any(facts => facts.Method.StartsFromData))
            throw Unused(CalibrationRecords, "starts from no data");

        void Require(Option option, string name, string reason)
        {
            if (context.IsGiven(option) && !methods.Any(facts => facts.UsedOptions.Contains(name)))
                throw Unused(option, reason);
        }

        InputException Unused(Option option, string reason)
        {
            string who = methods.Count == 1 ? methods[0].Method.Name : "each of these methods";
            return new InputException(
                $"{option.Name} \"{context.Text(option)}\": {who} {reason}, so it would change nothing"
            );
        }
    }

    /// <summary>What was asked for explicitly has to be what the adapter to start from already is.</summary>
    /// <exception cref="InputException">An option says otherwise.</exception>
    public void RequireNoConflict(CommandContext context, ModelConfig model, Adapter start, BpeTokenizer tokenizer)
    {
        if (context.Get(Previous) is { } directory)
            throw new InputException($"--previous-adapter \"{directory}\" and --init-adapter: expected one of the two");
        foreach (Option begins in new Option[] { _svd, CalibrationRecords })
        {
            if (context.IsGiven(begins))
            {
                throw new InputException(
                    $"{begins.Name} \"{context.Text(begins)}\": the adapter given by "
                        + "--init-adapter has its start already, so it would change nothing"
                );
            }
        }

        Require(_method, context.Get(_method) == start.Method.Name, start.Method.Name);
        Require(_rank, context.Get(_rank) == start.Options.Rank, Text(start.Options.Rank));
        Require(_alpha, context.Get(_alpha) == start.Options.Alpha, Text(start.Options.Alpha));
        Require(
            _rslora,
            context.Get(_rslora) == start.Options.RankStabilized,
            start.Options.RankStabilized ? "the scale alpha/√rank" : "the scale alpha/rank"
        );
        Require(_bias, Biases(context.Get(_bias)) == start.Options.Bias, Text(start.Options.Bias));
        AdapterOptions wanted = Read(context, start.Method);
        Require(
            _rankPattern,
            start.Modules.All(module => wanted.For(module.Shape.Name).Rank == module.Options.Rank),
            "other ranks"
        );
        Require(
            _alphaPattern,
            start.Modules.All(module => wanted.For(module.Shape.Name).Alpha == module.Options.Alpha),
            "other alphas"
        );
        Require(_topK, context.Get(_topK) == start.Options.TopK, Text(start.Options.TopK));
        Require(_dropout, context.Get(_dropout) == start.Options.Dropout, Text(start.Options.Dropout));
        Require(
            _set,
            Settings(context, start.Method, [start.Method])
                .All(given => start.Options.Setting(start.Method, given.Key) == given.Value),
            Text(start)
        );
        bool isSameWhole = Whole(context).ToHashSet().SetEquals(start.Options.ModulesToSave);
        Require(_trainAlso, isSameWhole, Listed(start.Options.ModulesToSave));
        Require(_keepTied, context.Get(_keepTied) == start.Options.KeepTied, start.Options.KeepTied ? "it" : "it not");
        string tokens = Listed(start.Options.TrainableTokens);
        Require(_trainTokens, Listed(Tokens(context, tokenizer)) == tokens, tokens);
        Require(_target, AreTargets(context.Get(_target), model, start), string.Join(',', start.Options.TargetModules));

        void Require(Option option, bool same, string found)
        {
            if (context.IsGiven(option) && !same)
            {
                throw new InputException(
                    $"{option.Name} \"{context.Text(option)}\": the adapter given by --init-adapter has "
                        + $"{found}; expected the same or no {option.Name}"
                );
            }
        }
    }

    /// <summary>Rows of the page's table of settings that hold for all methods of a comparison.</summary>
    public IReadOnlyList<(string Name, string Value)> Describe(CommandContext context) =>
        [.. Shared.Select(option => (option.Name.TrimStart('-'), context.Text(option).Replace(",", ", ")))];

    /// <summary>Rows of the report's table of settings.</summary>
    public static IReadOnlyList<(string Name, string Value)> Describe(Adapter adapter) =>
        [
            ("adapter", $"{adapter.Method.Name}: {adapter.Method.Summary}"),
            ("rank", Text(adapter.Options.Rank)),
            ("alpha", Text(adapter.Options.Alpha)),
            .. adapter.Options.RankStabilized ? [("rslora", "on")] : Array.Empty<(string, string)>(),
            .. adapter.Options.Bias == AdapterBias.None ? [] : new[] { ("bias", Text(adapter.Options.Bias)) },
            ("top-k", Text(adapter.Options.TopK)),
            ("target", string.Join(", ", adapter.Options.TargetModules)),
            .. adapter.Options.ModulesToSave.Count == 0
                ? []
                : new[] { ("train-also", Listed(adapter.Options.ModulesToSave)) },
            .. adapter.Options.KeepTied ? new[] { ("keep-tied", "on") } : [],
            .. adapter.Options.TrainableTokens.Count == 0
                ? []
                : new[] { ("train-tokens", Listed(adapter.Options.TrainableTokens)) },
            ("dropout", Text(adapter.Options.Dropout)),
            ("lr-ratio", Text(adapter.Options.LearningRateRatio)),
            .. adapter.Method.Settings.Select(setting =>
                (setting.Name, setting.Describe(adapter.Options.Setting(adapter.Method, setting.Name)))
            ),
            ("trainable parameters", adapter.TrainableCount.ToString("N0", CultureInfo.InvariantCulture)),
        ];

    /// <summary>The value of an option that names a method.</summary>
    public static string MethodName(ArgumentResult result)
    {
        string value = OptionTypes.Value(result);
        // Methods are found by reflection: only when somebody asks for one.
        if (AdapterMethods.All.All(known => known.Name != value))
        {
            result.AddError(
                OptionTypes.Complaint(
                    "--adapter",
                    value,
                    "one of " + string.Join(", ", AdapterMethods.All.Select(known => known.Name))
                )
            );
        }

        return value;
    }

    private Dictionary<string, double> Settings(
        CommandContext context,
        AdapterMethod method,
        IReadOnlyList<AdapterMethod> among
    )
    {
        var values = new Dictionary<string, double>();
        string[] known = [.. among.SelectMany(other => other.Settings).Select(setting => setting.Name).Distinct()];
        foreach ((string name, string value) in Given(context))
        {
            if (!known.Contains(name))
            {
                throw new InputException(
                    $"--set \"{name}={value}\": "
                        + (
                            known.Length == 0
                                ? $"{string.Join(", ", among.Select(other => other.Name))} has no settings of its own"
                                : "expected one of the settings of "
                                    + $"{(among.Count == 1 ? among[0].Name : "these methods")}: "
                                    + $"{string.Join(", ", known)}"
                        )
                );
            }

            if (method.Settings.FirstOrDefault(setting => setting.Name == name) is { } found)
                values[name] = found.Parse(value);
        }
        return values;
    }

    private (string Name, string Value)[] Given(CommandContext context) =>
        [.. (context.Get(_set) ?? []).Select(text => (text[..text.IndexOf('=')], text[(text.IndexOf('=') + 1)..]))];

    private string[] Whole(CommandContext context) =>
        context.Get(_trainAlso) is { Length: > 0 } list ? OptionTypes.Entries(list) : [];

    private static IReadOnlyList<int> TokensOf(string list, BpeTokenizer tokenizer) =>
        [.. OptionTypes.Entries(list).Select(text => TokenOf(text, tokenizer))];

    private static int TokenOf(string text, BpeTokenizer tokenizer)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int id))
            return id;
        int[] ids = tokenizer.Encode(text, addSpecialTokens: false);
        return ids is [var only]
            ? only
            : throw new InputException(
                $"--train-tokens \"{text}\": {ids.Length} tokens in this model's tokenizer, "
                    + "expected a text that is one token, or an id"
            );
    }

    private static string Listed(IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> tokens) =>
        tokens.Count == 0
            ? "none"
            : string.Join("; ", tokens.Select(pair => $"{pair.Key}: {string.Join(", ", pair.Value)}"));

    private static string Listed(IReadOnlyList<string> names) => names.Count == 0 ? "none" : string.Join(", ", names);

    private static string Text(Adapter adapter) =>
        string.Join(
            ' ',
            adapter.Method.Settings.Select(setting =>
                $"{setting.Name}={setting.Describe(adapter.Options.Setting(adapter.Method, setting.Name))}"
            )
        );

    private static bool AreTargets(string text, ModelConfig model, Adapter start)
    {
        var named = new AdapterOptions
        {
            TargetModules = AdapterTargets.Parse(text),
            ModulesToSave = start.Options.ModulesToSave,
        };
        return AdapterTargets
            .Of(model, named)
            .Select(layer => layer.Name)
            .ToHashSet()
            .SetEquals(start.Modules.Select(module => module.Shape.Name));
    }

    private static AdapterBias Biases(string name) =>
        name switch
        {
            "all" => AdapterBias.All,
            "lora_only" => AdapterBias.Adapted,
            _ => AdapterBias.None,
        };

    private static string Text(AdapterBias bias) =>
        bias switch
        {
            AdapterBias.All => "all",
            AdapterBias.Adapted => "lora_only",
            _ => "none",
        };

    private static Option<string> Pattern(string name, string help, string shape, Func<string, double?> number) =>
        new(name)
        {
            Description = help,
            HelpName = shape,
            DefaultValueFactory = _ => "",
            CustomParser = result =>
            {
                string value = OptionTypes.Value(result);
                string[] entries = value.Split(',');
                if (
                    entries.Any(entry =>
                        entry.LastIndexOf('=') is var at && (at < 1 || number(entry[(at + 1)..]) is null)
                    )
                )
                {
                    result.AddError(
                        OptionTypes.Complaint(name, value, shape.Replace(",…", " entries, separated by commas"))
                    );
                }
                else if (entries.Select(Key).Distinct().Count() < entries.Length)
                {
                    result.AddError(
                        OptionTypes.Complaint(name, value, "every expression once, for its first entry wins")
                    );
                }

                return value;
            },
        };

    /// <summary>What was checked when it was parsed.</summary>
    private static IEnumerable<KeyValuePair<string, double>> Entries(string list) =>
        list.Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(entry =>
                KeyValuePair.Create(
                    Key(entry),
                    double.Parse(entry[(entry.LastIndexOf('=') + 1)..], CultureInfo.InvariantCulture)
                )
            );

    private static string Key(string entry) => entry[..entry.LastIndexOf('=')];

    private static string Text(double number) => number.ToString(CultureInfo.InvariantCulture);
}
