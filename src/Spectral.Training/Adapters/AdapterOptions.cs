using System.Runtime.CompilerServices;
using Spectral.Kernels.Linalg;
using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters;

/// <summary>The settings of an adapter. Each method documents which of them it reads.</summary>
public sealed record AdapterOptions
{
    /// <summary>
    /// The last parts of the names of all linear layers of a decoder block, over all model families. As targets they
    /// stand for the layers of the model's own family.
    /// </summary>
    public static IReadOnlyList<string> AllProjections { get; } =
    [.. ModelFamilies.All.OrderBy(family => family.SeesAhead).SelectMany(family => family.DefaultTargets).Distinct()];

    /// <summary>The rank r of the low-rank terms.</summary>
    public int Rank
    {
        get => Recorded(field);
        init;
    } = 8;

    /// <summary>The numerator α of the scale α/r.</summary>
    public double Alpha
    {
        get => Recorded(field);
        init;
    } = 16;

    /// <summary>
    /// Whether the scale is α/√r instead of α/r (Kalajdzievski, "A Rank Stabilization Scaling Factor", 2023).
    /// </summary>
    public bool RankStabilized
    {
        get => Recorded(field);
        init;
    }

    /// <summary>The number k of leading singular triplets that a spectral method works on.</summary>
    public int TopK { get; init; } = 8;

    /// <summary>
    /// The names or endings of names of the modules to adapt, such as <c>q_proj</c>; or one expression
    /// (<see cref="AdapterTargets.Parse"/>).
    /// </summary>
    public IReadOnlyList<string> TargetModules { get; init; } = AllProjections;

    /// <summary>
    /// The parameters of experts to adapt, or the ends of their names, such as <c>experts.gate_up_proj</c> (PEFT's
    /// target_parameters). Each stands for layers of single experts; files have the factors of all experts in one
    /// tensor. Patterns of ranks and alphas are matched with the names of these parameters.
    /// </summary>
    public IReadOnlyList<string> TargetParameters { get; init; } = [];

    /// <summary>The seed of all random start values.</summary>
    public ulong Seed { get; init; }

    /// <summary>The algorithm that computes singular triplets.</summary>
    public SvdMethod Svd
    {
        get => Recorded(field);
        init;
    } = SvdMethod.Auto;

    /// <summary>
    /// The probability of dropping an element of the adapter's input in training; the others are scaled by 1/(1 − p).
    /// The base layer's input is not dropped. Layers that read the same input share the mask.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>
    /// The learning rate of L over that of R (PEFT's lora_B over lora_A): Hayou, Ghosh and Yu, "LoRA+", 2024, arXiv
    /// 2402.12354, who recommend 16. R keeps the optimizer's rate.
    /// </summary>
    public double LearningRateRatio
    {
        get => Recorded(field);
        init;
    } = 1;

    /// <summary>
    /// The ranks of single modules, by expressions on the end of their names (PEFT's rank_pattern). The first match
    /// wins. Rank 0 leaves a module out, unless <see cref="Rank"/> is 0 too.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, int>> RankPattern { get; init; } = [];

    /// <summary>The alphas of single modules, matched as in <see cref="RankPattern"/>.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> AlphaPattern { get; init; } = [];

    /// <summary>Which biases of the model train.</summary>
    public AdapterBias Bias { get; init; }

    /// <summary>
    /// The names or ends of names of the layers to which <see cref="Bias"/> is limited; empty: it holds for all. Files
    /// say which biases these are by the tensors that they have.
    /// </summary>
    public IReadOnlyList<string> BiasModules { get; init; } = [];

    /// <summary>
    /// Whether the model's files have the adapted weights as [in, out] (PEFT's fan_in_fan_out). It follows from the
    /// model; factors have the same shapes either way.
    /// </summary>
    internal bool FanInFanOut { get; init; }

    /// <summary>
    /// The ends of the names of modules that train whole and are stored beside the factors, such as <c>lm_head</c> or
    /// <c>embed_tokens</c> (PEFT's modules_to_save). They get no adapter.
    /// </summary>
    public IReadOnlyList<string> ModulesToSave { get; init; } = [];

    /// <summary>
    /// The tokens whose rows train while the rest of their table is frozen (PEFT's trainable_token_indices), by the end
    /// of the table's name, <c>embed_tokens</c> or <c>lm_head</c>. A head that is tied to the embedding follows its
    /// rows.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string, IReadOnlyList<int>>> TrainableTokens { get; init; } = [];

    /// <summary>
    /// Whether a tied head follows an embedding that is adapted or trained whole (PEFT's ensure_weight_tying).
    /// Otherwise the head keeps the base's values and the two differ.
    /// </summary>
    public bool KeepTied { get; init; }

    /// <summary>
    /// The folder of the adapter of the earlier tasks, for a method whose change is to be orthogonal to theirs
    /// (o-lora). It is read once, when an adapter is created.
    /// </summary>
    public string? PreviousAdapter { get; init; }

    /// <summary>The soft prompt that trains beside the layers; null: none.</summary>
    public SoftPrompt? SoftPrompt { get; init; }

    /// <summary>The text that a soft prompt starts from; null: none.</summary>
    public PromptText? PromptText
    {
        get => Recorded(field);
        init;
    }

    /// <summary>
    /// The tokens from whose last occurrence on an activated adapter acts on a record (PEFT's alora_invocation_tokens).
    /// </summary>
    public IReadOnlyList<int> InvocationTokens
    {
        get => Recorded(field);
        init;
    } = [];

    /// <summary>The method's own settings, by name, where they differ from the defaults.</summary>
    public IReadOnlyDictionary<string, double> Settings { get; init; } = new Dictionary<string, double>();

    /// <summary>
    /// The method's own settings for single modules, by the setting's name, matched as in <see cref="RankPattern"/>.
    /// </summary>
    public IReadOnlyDictionary<string, IReadOnlyList<KeyValuePair<string, double>>> SettingPatterns { get; init; } =
        new Dictionary<string, IReadOnlyList<KeyValuePair<string, double>>>();

    /// <summary>
    /// The layers of which IA3 scales the inputs instead of the outputs; null: the last layer of each feed-forward
    /// block.
    /// </summary>
    public FeedForwardModules? FeedForward { get; init; }

    /// <summary>Collects the names of the options that are read; null: they are not recorded.</summary>
    internal HashSet<string>? ReadNames { get; init; }

    /// <summary>The scale s of the low-rank terms.</summary>
    public double Scale => ScaleAt(Rank);

    /// <summary>Returns the scale at another rank.</summary>
    internal double ScaleAt(int rank) => Alpha / (RankStabilized ? Math.Sqrt(rank) : rank);

    /// <summary>
    /// Returns the settings at another rank, with α changed to keep the scale. Rank 0 has no scale to keep.
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

    /// <summary>Returns the settings of one module, with the patterns applied.</summary>
    /// <exception cref="InputException">A pattern is not a regular expression.</exception>
    public AdapterOptions For(string module)
    {
        module = PatternName(module);
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

    /// <summary>Returns whether a layer's weight is, or is part of, one of <see cref="TargetParameters"/>.</summary>
    internal bool TargetsParameterOf(string module)
    {
        if (TargetParameters.Count == 0)
            return false;
        string parameter = ExpertParameters.Of(module);
        return TargetParameters.Any(target => ExpertParameters.Matches(target, parameter));
    }

    /// <summary>Returns the name of a layer with which patterns of ranks and alphas are matched.</summary>
    internal string PatternName(string module) =>
        TargetsParameterOf(module) && ExpertParameters.Place(module) is { } place ? place.Parameter : module;

    /// <summary>
    /// Returns whether a module's rank is 0 while others have one: training reduced it, or the pattern leaves it out.
    /// It has no factors then, and its weight is that of the base.
    /// </summary>
    internal bool IsPruned(string module) => Rank != 0 && For(module).Rank == 0;

    /// <summary>
    /// Returns whether the bias of a layer, adapted or not, is among those that train, if the layer has one.
    /// </summary>
    internal bool TrainsBiasOf(string module) =>
        Bias != AdapterBias.None && (BiasModules.Count == 0 || ModulePattern.Of(BiasModules).Matches(module));

    /// <summary>Returns the settings with one of the method's own settings changed.</summary>
    internal AdapterOptions With(string setting, double value) =>
        this with
        {
            Settings = new Dictionary<string, double>(Settings) { [setting] = value },
        };

    /// <summary>
    /// Returns the settings for training on a further task: they name the earlier adapter
    /// (<see cref="PreviousAdapter"/>) and have the rank that this requires.
    /// </summary>
    /// <param name="method">The method, which has to be one for a sequence of tasks.</param>
    /// <param name="directory">The folder of the earlier adapter, of any method with an equivalent plain LoRA.</param>
    /// <exception cref="InputException">The method is for single tasks only, or the adapter cannot be used.</exception>
    public AdapterOptions After(AdapterMethod method, string directory) => method.After(this, directory);

    /// <summary>
    /// Returns the options without those that the method's files cannot store; with them, an adapter would be a
    /// different one when read again.
    /// </summary>
    /// <param name="method">The method whose files are meant.</param>
    /// <param name="layers">The layers to adapt.</param>
    /// <param name="without">Receives a line for each option that is left out.</param>
    /// <exception cref="InputException">The options do not suit the method or a layer.</exception>
    public AdapterOptions KeptBy(AdapterMethod method, IReadOnlyList<ModuleShape> layers, Action<string> without) =>
        KeptOptions.Keep(method, this, layers, without);

    /// <summary>Returns the value of one of the method's own settings.</summary>
    /// <param name="method">The method that declares the setting.</param>
    /// <param name="name">The name of the setting.</param>
    public double Setting(AdapterMethod method, string name) =>
        Settings.TryGetValue(name, out double value)
            ? value
            : method.Settings.First(setting => setting.Name == name).Default;

    private T Recorded<T>(T value, [CallerMemberName] string name = "")
    {
        ReadNames?.Add(name);
        return value;
    }

    /// <summary>Checks that all settings given belong to the method and are in range.</summary>
    /// <exception cref="InputException">A setting is unknown or out of range, or two exclude each other.</exception>
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
