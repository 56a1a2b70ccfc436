using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// The contents of <c>adapter_config.json</c>, in PEFT's terms. Absent keys have PEFT's defaults. Keys with no meaning
/// here were refused when the file was read.
/// </summary>
public sealed record AdapterConfig
{
    private readonly ConcurrentDictionary<string, ModuleExpression> _layerExpressions = new();

    /// <summary>The <see cref="AdapterMethod.PeftType"/> of plain LoRA and its variants.</summary>
    public const string Lora = "LORA";

    /// <summary>The method whose tensors the folder holds.</summary>
    public required AdapterMethod Method { get; init; }

    /// <summary>The options: rank, alpha, dropout, patterns and the method's own settings.</summary>
    public required AdapterOptions Options { get; init; }

    /// <summary>
    /// Whether the start values were subtracted from the base and are not in the file, as PEFT leaves it after some
    /// starts. On the original base, the stored factors are meaningful only together with the recomputed start values.
    /// </summary>
    public bool LacksStart { get; init; }

    /// <summary>
    /// Whether the file holds the start values beside the factors, subtracted: [A; A0] and [B, -B0] at twice the rank,
    /// a plain LoRA on the original base.
    /// </summary>
    public bool IncludesStart { get; init; }

    /// <summary>
    /// Whether gate and up of an expert have factors of their own, in one of twice the rank; otherwise they share A.
    /// </summary>
    internal bool KeepsGatesApart { get; init; }

    /// <summary>Whether some of the biases that the config calls trained were left out on purpose.</summary>
    internal bool ListsBiases { get; init; }

    /// <summary>
    /// Whether a fresh adapter of this config changes the model although the method's own start would not. PEFT offers
    /// this for tests.
    /// </summary>
    public bool StartsAtRandom { get; init; }

    /// <summary>Components of names that mark tensors which matter only in training and are ignored.</summary>
    internal IReadOnlyList<string> IgnoredTensors { get; init; } = [];

    /// <summary>Which factors are stored as diagonal blocks; null: none.</summary>
    internal BlockDiagonals? Blocks { get; init; }

    /// <summary>The number of inputs that a column of A may average (<see cref="PooledInputs"/>); null: one.</summary>
    internal int? InputsPooled { get; init; }

    /// <summary>The sizes of the model of a soft prompt; null: it is an adapter of layers.</summary>
    internal PromptSizes? Prompt { get; init; }

    /// <summary>The config of the soft prompt beside the layers; null: there is none.</summary>
    internal AdapterConfig? SoftPrompt { get; init; }

    /// <summary>The modules to adapt.</summary>
    public required ModulePattern TargetModules { get; init; }

    /// <summary>The modules that are not adapted although <see cref="TargetModules"/> matches them.</summary>
    public ModulePattern? ExcludeModules { get; init; }

    /// <summary>
    /// The numbers of the layers to adapt; null: all. Modules listed by their full name are adapted in any layer.
    /// </summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>
    /// The names of the module lists in which <see cref="LayersToTransform"/> counts; empty: any list.
    /// </summary>
    public IReadOnlyList<string> LayersPattern { get; init; } = [];

    /// <summary>PEFT's name for what the model does.</summary>
    internal string TaskType { get; init; } = "CAUSAL_LM";

    /// <summary>The path or name of the base model.</summary>
    public string? BaseModel { get; init; }

    /// <summary>
    /// The form of the base's linear layers that it was trained on (<see cref="Models.ModelFolder.WeightForm"/>); null:
    /// the files do not say.
    /// </summary>
    internal string? BaseForm { get; init; }

    /// <summary>
    /// The SHA-256 of each base tensor as stored, by tensor name. Only configs of methods that PEFT does not have hold
    /// them.
    /// </summary>
    public IReadOnlyDictionary<string, string> BaseTensorSha256 { get; init; } = new Dictionary<string, string>();

    /// <summary>Creates the config of an adapter, without details of its base.</summary>
    /// <param name="method">The adapter's method.</param>
    /// <param name="options">The settings that hold for all layers.</param>
    /// <param name="modules">
    /// The adapted layers. Settings in which they differ are written for each, by patterns.
    /// </param>
    internal static AdapterConfig Of(AdapterMethod method, AdapterOptions options, IReadOnlyList<AdaptedModule> modules)
    {
        options = options with
        {
            RankPattern = Exceptions(modules, module => module.Rank, options.Rank, options),
            AlphaPattern = Exceptions(modules, module => module.Alpha, options.Alpha, options),
        };
        return new AdapterConfig
        {
            Method = method,
            Options = method.Settings.Aggregate(options, (stated, setting) => Stated(stated, method, setting, modules)),
            IncludesStart = modules.Any(module => module.IncludesStart),
            Prompt = method is PromptMethod ? modules[0].Shape.Prompt : null,
            TargetModules = ModulePattern.Of(options.TargetModules),
        };
    }

    /// <summary>
    /// Returns the options with a setting as the modules have it: the most common value, and a pattern for the others.
    /// </summary>
    private static AdapterOptions Stated(
        AdapterOptions options,
        AdapterMethod method,
        AdapterSetting setting,
        IReadOnlyList<AdaptedModule> modules
    )
    {
        double Value(AdapterOptions module) => module.Setting(method, setting.Name);
        double own = modules.Any(module => Value(module.Options) == Value(options))
            ? Value(options)
            : modules.GroupBy(module => Value(module.Options)).MaxBy(alike => alike.Count())!.Key;
        if (own != Value(options))
            options = options.With(setting.Name, own);
        if (setting.PeftPatternKey is null)
            return options;
        return options with
        {
            SettingPatterns = new Dictionary<string, IReadOnlyList<KeyValuePair<string, double>>>(
                options.SettingPatterns
            )
            {
                [setting.Name] = Exceptions(modules, Value, own, options),
            },
        };
    }

    /// <summary>
    /// Returns the modules whose setting differs from the adapter's own, each by an expression that matches only its
    /// name.
    /// </summary>
    private static KeyValuePair<string, T>[] Exceptions<T>(
        IReadOnlyList<AdaptedModule> modules,
        Func<AdapterOptions, T> setting,
        T own,
        AdapterOptions options
    )
        where T : IEquatable<T> =>
        [
            .. modules
                .Where(module => !setting(module.Options).Equals(own))
                .Select(module =>
                    KeyValuePair.Create(Regex.Escape(options.PatternName(module.Shape.Name)), setting(module.Options))
                )
                .Distinct(),
        ];

    /// <summary>Whether the list of targets alone determines which modules are adapted.</summary>
    internal bool IsListAlone =>
        TargetModules.Names is not null && ExcludeModules is null && LayersToTransform is not { Count: > 0 };

    /// <summary>Compiles the expressions of <see cref="LayersPattern"/>.</summary>
    /// <exception cref="InputException">
    /// A list's name is not a regular expression, or requires backtracking.
    /// </exception>
    internal void CheckLists()
    {
        foreach (string list in LayersPattern)
            _layerExpressions.GetOrAdd(list, LayerExpression);
    }

    private static ModuleExpression LayerExpression(string list) =>
        new($@"\A.*?\.(?:{list})\.(?<layer>\d+)\.", list, "layers_pattern", mayBacktrack: false);

    /// <summary>Returns whether a module is adapted.</summary>
    public bool Matches(string module)
    {
        if (Options.TargetsParameterOf(module))
            return true;
        if ((ExcludeModules?.Matches(module) ?? false) || SavedModules.Exclude(Options.ModulesToSave, module))
            return false;
        if (!TargetModules.Matches(module))
            return false;
        // PEFT applies layers_to_transform only to modules that match by the end of their name.
        if (
            LayersToTransform is not { Count: > 0 } layers
            || TargetModules.Names is null
            || TargetModules.Lists(module)
        )
        {
            return true;
        }

        return LayerOf(module) is { } layer && layers.Contains(layer);
    }

    /// <summary>Returns whether a module is in the layer of a given number.</summary>
    internal bool IsIn(int layer, string module) => LayerOf(module) == layer;

    private int? LayerOf(string module)
    {
        foreach (string list in LayersPattern.Count == 0 ? ["[^.]*"] : LayersPattern)
        {
            Match match = _layerExpressions.GetOrAdd(list, LayerExpression).Match(module);
            if (match.Success)
                return int.TryParse(match.Groups["layer"].ValueSpan, out int layer) ? layer : null;
        }
        return null;
    }
}
