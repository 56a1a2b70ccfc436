using System.Runtime.CompilerServices;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>Settings that adapter methods choose from; each method documents which it reads.</summary>
public sealed record AdapterOptions
{
    /// <summary>All linear layers of a Llama block.</summary>
    public static IReadOnlyList<string> AllProjections { get; } =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <summary>Rank r of the low-rank part.</summary>
    public int Rank
    {
        get => Noted(field);
        init;
    } = 8;

    /// <summary>Numerator α of the scale.</summary>
    public double Alpha
    {
        get => Noted(field);
        init;
    } = 16;

    /// <summary>
    /// Rank-stabilised scale α/√r instead of α/r (Kalajdzievski, "A Rank Stabilization Scaling Factor", 2023).
    /// </summary>
    public bool RankStabilized
    {
        get => Noted(field);
        init;
    }

    /// <summary>Number k of leading singular triplets a spectral part works on.</summary>
    public int TopK { get; init; } = 8;

    /// <summary>
    /// Module names or endings to adapt, such as <c>q_proj</c>; or one expression (<see cref="AdapterTargets.Parse"/>).
    /// </summary>
    public IReadOnlyList<string> TargetModules { get; init; } = AllProjections;

    /// <summary>Seed of every random start value.</summary>
    public ulong Seed { get; init; }

    /// <summary>How singular triplets are computed.</summary>
    public SvdMethod Svd
    {
        get => Noted(field);
        init;
    } = SvdMethod.Auto;

    /// <summary>
    /// Probability with which an element of the adapter's input is dropped while training, what is kept being scaled by
    /// 1/(1 − p); the base layer's input is left alone. Layers that read the same input share the mask.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>
    /// Learning rate of L over that of R (PEFT's lora_B over lora_A): Hayou, Ghosh and Yu, "LoRA+", 2024, arXiv
    /// 2402.12354, who recommend 16. R keeps the optimizer's rate, L's is this many times as large.
    /// </summary>
    public double LearningRateRatio
    {
        get => Noted(field);
        init;
    } = 1;

    /// <summary>
    /// Ranks of single modules, by expressions on the end of their name (PEFT's rank_pattern); the first that matches
    /// wins.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, int>> RankPattern { get; init; } = [];

    /// <summary>Alphas of single modules, as <see cref="RankPattern"/>.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> AlphaPattern { get; init; } = [];

    /// <summary>Which biases of the model train along.</summary>
    public AdapterBias Bias { get; init; }

    /// <summary>
    /// Ends of the names of modules that train whole and are stored beside the factors, such as <c>lm_head</c> or
    /// <c>embed_tokens</c> (PEFT's modules_to_save). They take no adapter.
    /// </summary>
    public IReadOnlyList<string> ModulesToSave { get; init; } = [];

    /// <summary>
    /// Tokens whose rows train while the rest of their table stays, by the end of the table's name, <c>embed_tokens</c>
    /// or <c>lm_head</c> (PEFT's trainable_token_indices). A head that is tied to the embedding follows its rows.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> TrainableTokens { get; init; } = [];

    /// <summary>
    /// Whether a head that is tied to the embedding follows an embedding that is adapted or trained whole (PEFT's
    /// ensure_weight_tying); otherwise the two part.
    /// </summary>
    public bool KeepTied { get; init; }

    /// <summary>
    /// Folder of the adapter of the tasks before, for a method that keeps clear of them (o-lora); read once, when an
    /// adapter is made.
    /// </summary>
    public string? PreviousAdapter { get; init; }

    /// <summary>Values of the method's own settings that are not the default, by name.</summary>
    public IReadOnlyDictionary<string, double> Settings { get; init; } = new Dictionary<string, double>();

    /// <summary>
    /// Values of the method's own settings for single modules, by the setting's name, as <see cref="RankPattern"/>.
    /// </summary>
    public IReadOnlyDictionary<string, IReadOnlyList<KeyValuePair<string, double>>> SettingPatterns { get; init; } =
        new Dictionary<string, IReadOnlyList<KeyValuePair<string, double>>>();

    /// <summary>
    /// The layers whose inputs IA3 scales, in place of their outputs; null: those that end a feed-forward block.
    /// </summary>
    public FeedForwardModules? FeedForward { get; init; }

    /// <summary>Takes the names of the settings that somebody reads; null: nobody wants to know.</summary>
    internal HashSet<string>? ReadNames { get; init; }

    /// <summary>The scale s of the low-rank part.</summary>
    public double Scale => ScaleAt(Rank);

    /// <summary>The scale that α gives at some rank.</summary>
    internal double ScaleAt(int rank) => Alpha / (RankStabilized ? Math.Sqrt(rank) : rank);

    /// <summary>
    /// The same settings at another rank; α follows, so that the scale stays what it was. Rank 0 has no scale to keep.
    /// </summary>
    internal AdapterOptions AtRank(int rank) =>
        rank == Rank || rank == 0 || Rank == 0
            ? this with
            {
                Rank = rank,
            }
            : this with
            {
                Rank = rank,
                Alpha = Alpha * (RankStabilized ? Math.Sqrt((double)rank / Rank) : (double)rank / Rank),
            };

    /// <summary>The settings of one module, the patterns applied.</summary>
    /// <exception cref="InputException">A pattern is no regular expression.</exception>
    public AdapterOptions For(string module)
    {
        AdapterOptions options = this with
        {
            Rank = ModulePattern.First(RankPattern, module, "rank_pattern") ?? Rank,
            Alpha = ModulePattern.First(AlphaPattern, module, "alpha_pattern") ?? Alpha,
        };
        foreach ((string name, IReadOnlyList<KeyValuePair<string, double>> pattern) in SettingPatterns)
        {
            if (ModulePattern.First(pattern, module, $"the pattern of {name}") is { } value)
                options = options.With(name, value);
        }

        return options;
    }

    /// <summary>
    /// Whether training took all rank away from a module: it has no factors, and its weight is the base's.
    /// </summary>
    internal bool IsGivenUp(string module) => Rank != 0 && For(module).Rank == 0;

    /// <summary>The same with one of the method's own settings changed.</summary>
    internal AdapterOptions With(string setting, double value) =>
        this with
        {
            Settings = new Dictionary<string, double>(Settings) { [setting] = value },
        };

    /// <summary>
    /// The same settings for a task after others, whose adapter it starts from: <see cref="PreviousAdapter"/> and the
    /// rank that takes.
    /// </summary>
    /// <param name="method">The method, which has to be one for several tasks.</param>
    /// <param name="directory">The adapter, of any method that a plain LoRA equals.</param>
    /// <exception cref="InputException">The method is none, or the adapter is unusable.</exception>
    public AdapterOptions After(AdapterMethod method, string directory) => method.After(this, directory);

    /// <summary>
    /// The same options for a method, without those that its files have no place for: its adapters would be others when
    /// read again.
    /// </summary>
    /// <param name="method">The method.</param>
    /// <param name="layers">The layers to adapt.</param>
    /// <param name="without">Takes a line for each option that is left out.</param>
    /// <exception cref="InputException">The options do not suit the method or a layer.</exception>
    public AdapterOptions KeptBy(AdapterMethod method, IReadOnlyList<ModuleShape> layers, Action<string> without) =>
        KeptOptions.Keep(method, this, layers, without);

    /// <summary>The value of a setting of a method's own.</summary>
    /// <param name="method">The method.</param>
    /// <param name="name">The setting.</param>
    public double Setting(AdapterMethod method, string name) =>
        Settings.TryGetValue(name, out double value)
            ? value
            : method.Settings.First(setting => setting.Name == name).Default;

    private T Noted<T>(T value, [CallerMemberName] string name = "")
    {
        ReadNames?.Add(name);
        return value;
    }

    /// <summary>Checks that all settings given are the method's and in range.</summary>
    /// <exception cref="InputException">One is not.</exception>
    internal void CheckSettings(AdapterMethod method)
    {
        foreach ((string name, double value) in Settings)
        {
            AdapterSetting setting =
                method.Settings.FirstOrDefault(setting => setting.Name == name)
                ?? throw new InputException(
                    method.Settings.Count == 0
                        ? $"setting {name}: {method.Name} has no settings of its own"
                        : $"setting {name}: {method.Name} has no such setting; known: "
                            + $"{string.Join(", ", method.Settings.Select(setting => setting.Name))}"
                );
            if (!setting.Allows(value))
                throw new InputException($"setting {name}={value}: expected {setting.Expected}");
            if (value != 0 && setting.InPlaceOf is { } other && Settings.ContainsKey(other))
                throw new InputException($"settings {name} and {other}: expected one of the two");
        }
    }
}
