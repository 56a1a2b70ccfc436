using System.Collections.Concurrent;
using System.Text.RegularExpressions;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// What <c>adapter_config.json</c> says, in PEFT's terms. Absent keys have PEFT's defaults; what cannot be
/// represented here was refused when the file was read.
/// </summary>
public sealed record AdapterConfig
{
    private readonly ConcurrentDictionary<string, ModuleExpression> _layerExpressions = new();

    /// <summary>The <see cref="AdapterMethod.PeftType"/> of plain LoRA and its variants.</summary>
    public const string Lora = "LORA";

    /// <summary>The method whose tensors the folder holds.</summary>
    public required AdapterMethod Method { get; init; }

    /// <summary>Rank, alpha, dropout, patterns and the method's own settings.</summary>
    public required AdapterOptions Options { get; init; }

    /// <summary>
    /// Whether the stored factors belong to a base from which what they started as was taken away, as PEFT leaves
    /// them after some starts: with the base as it was they mean something only once that start is found again.
    /// </summary>
    public bool LacksStart { get; init; }

    /// <summary>
    /// Whether what the factors started as stands beside them, subtracted: [A; A0] and [B, -B0] at twice the rank, a
    /// plain LoRA on the base as it was.
    /// </summary>
    public bool IncludesStart { get; init; }

    /// <summary>
    /// Whether a fresh adapter of this config changes the model although its method's own start would not, as PEFT
    /// has it for tests.
    /// </summary>
    public bool StartsAtRandom { get; init; }

    /// <summary>First parts of the names of tensors that matter in training alone.</summary>
    internal IReadOnlyList<string> SetAside { get; init; } = [];

    /// <summary>Which factors are stored as blocks; null: none.</summary>
    internal BlockDiagonals? Blocks { get; init; }

    /// <summary>How many inputs a column of A may stand for (<see cref="PooledInputs"/>); null: one.</summary>
    internal int? InputsPooled { get; init; }

    /// <summary>The modules that are adapted.</summary>
    public required ModulePattern TargetModules { get; init; }

    /// <summary>Modules that are left out although <see cref="TargetModules"/> matches.</summary>
    public ModulePattern? ExcludeModules { get; init; }

    /// <summary>
    /// The layers that are adapted; null = all. Modules listed by their full name are adapted in any layer.
    /// </summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Names of the module lists that <see cref="LayersToTransform"/> counts in; empty = any.</summary>
    public IReadOnlyList<string> LayersPattern { get; init; } = [];

    /// <summary>Path or name of the base model.</summary>
    public string? BaseModel { get; init; }

    /// <summary>SHA-256 of base tensors as stored, by tensor name; of methods that PEFT does not have.</summary>
    public IReadOnlyDictionary<string, string> BaseTensorSha256 { get; init; } = new Dictionary<string, string>();

    /// <summary>What is written about an adapter, but for its base.</summary>
    /// <param name="method">The method.</param>
    /// <param name="options">The settings that hold for all layers.</param>
    /// <param name="modules">The layers: what differs between them, by patterns or because of their sizes, is written
    /// for each.</param>
    internal static AdapterConfig Of(AdapterMethod method, AdapterOptions options, IReadOnlyList<AdaptedModule> modules)
    {
        options = options with
        {
            RankPattern = Exceptions(modules, module => module.Rank, options.Rank),
            AlphaPattern = Exceptions(modules, module => module.Alpha, options.Alpha),
        };
        return new AdapterConfig
        {
            Method = method,
            Options = method.Settings.Aggregate(options, (stated, setting) => Stated(stated, method, setting, modules)),
            IncludesStart = modules.Any(module => module.IncludesStart),
            TargetModules = ModulePattern.Of(options.TargetModules),
        };
    }

    /// <summary>The options with a setting as the modules have it: most of them, and by a pattern the others.</summary>
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
                [setting.Name] = Exceptions(modules, Value, own),
            },
        };
    }

    /// <summary>
    /// The modules whose setting differs from the adapter's own, by an expression that matches their name alone.
    /// </summary>
    private static KeyValuePair<string, T>[] Exceptions<T>(
        IReadOnlyList<AdaptedModule> modules,
        Func<AdapterOptions, T> setting,
        T own
    )
        where T : IEquatable<T> =>
        [
            .. modules
                .Where(module => !setting(module.Options).Equals(own))
                .Select(module => KeyValuePair.Create(Regex.Escape(module.Shape.Name), setting(module.Options))),
        ];

    /// <summary>Whether the list of targets says by itself which modules are adapted.</summary>
    internal bool IsListAlone =>
        TargetModules.Names is not null && ExcludeModules is null && LayersToTransform is not { Count: > 0 };

    /// <summary>Compiles the expressions of <see cref="LayersPattern"/>.</summary>
    /// <exception cref="InputException">A list's name is no regular expression, or takes backtracking.</exception>
    internal void CheckLists()
    {
        foreach (string list in LayersPattern)
            _layerExpressions.GetOrAdd(list, LayerExpression);
    }

    private static ModuleExpression LayerExpression(string list) =>
        new($@"\A.*?\.(?:{list})\.(?<layer>\d+)\.", list, "layers_pattern", mayBacktrack: false);

    /// <summary>Whether a module is adapted.</summary>
    public bool Matches(string module)
    {
        if ((ExcludeModules?.Matches(module) ?? false) || SavedModules.Exclude(Options.ModulesToSave, module))
            return false;
        if (!TargetModules.Matches(module))
            return false;
        // PEFT counts layers only for modules found by the end of their name.
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

    /// <summary>Whether a module is in a layer of some number.</summary>
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
