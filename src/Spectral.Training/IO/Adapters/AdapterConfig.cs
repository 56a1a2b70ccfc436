using System.Collections.Concurrent;
using System.Text.RegularExpressions;

namespace Spectral.Training;

/// <summary>
/// What <c>adapter_config.json</c> says, in PEFT's terms. Absent keys have PEFT's defaults; what cannot be represented here was refused
/// when the file was read.
/// </summary>
public sealed record AdapterConfig
{
    private readonly ConcurrentDictionary<string, ModuleExpression> layerExpressions = new();

    /// <summary>The <see cref="AdapterMethod.PeftType"/> of plain LoRA and its variants.</summary>
    public const string Lora = "LORA";

    /// <summary>The method whose tensors the folder holds.</summary>
    public required AdapterMethod Method { get; init; }

    /// <summary>Rank, alpha, dropout, patterns and the method's own settings.</summary>
    public required AdapterOptions Options { get; init; }

    /// <summary>
    /// Whether the stored factors belong to a base from which what they started as was taken away, as PEFT leaves them after some starts: with the
    /// base as it was they mean something only once that start is found again.
    /// </summary>
    public bool LacksStart { get; init; }

    /// <summary>
    /// Whether what the factors started as stands beside them, subtracted: [A; A0] and [B, -B0] at twice the rank, a plain LoRA on the base as it was.
    /// </summary>
    public bool IncludesStart { get; init; }

    /// <summary>Whether a fresh adapter of this config changes the model although its method's own start would not, as PEFT has it for tests.</summary>
    public bool StartsAtRandom { get; init; }

    /// <summary>First parts of the names of tensors that matter in training alone.</summary>
    internal IReadOnlyList<string> SetAside { get; init; } = [];

    /// <summary>How many inputs a column of A may stand for (<see cref="PooledInputs"/>); null: one.</summary>
    internal int? InputsPooled { get; init; }

    /// <summary>The modules that are adapted.</summary>
    public required ModulePattern TargetModules { get; init; }

    /// <summary>Modules that are left out although <see cref="TargetModules"/> matches.</summary>
    public ModulePattern? ExcludeModules { get; init; }

    /// <summary>The layers that are adapted; null = all. Modules listed by their full name are adapted in any layer.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Names of the module lists that <see cref="LayersToTransform"/> counts in; empty = any.</summary>
    public IReadOnlyList<string> LayersPattern { get; init; } = [];

    /// <summary>Path or name of the base model.</summary>
    public string? BaseModel { get; init; }

    /// <summary>SHA-256 of base tensors as stored, by tensor name; of methods that PEFT does not have.</summary>
    public IReadOnlyDictionary<string, string> BaseTensorSha256 { get; init; } = new Dictionary<string, string>();

    /// <summary>Compiles the expressions of <see cref="LayersPattern"/>.</summary>
    /// <exception cref="InputException">A list's name is no regular expression, or takes backtracking.</exception>
    internal void CheckLists()
    {
        foreach (string list in LayersPattern)
            layerExpressions.GetOrAdd(list, LayerExpression);
    }

    private static ModuleExpression LayerExpression(string list) => new($@"\A.*?\.(?:{list})\.(?<layer>\d+)\.", list, "layers_pattern", mayBacktrack: false);

    /// <summary>Whether a module is adapted.</summary>
    public bool Matches(string module)
    {
        if ((ExcludeModules?.Matches(module) ?? false) || SavedModules.Exclude(Options.ModulesToSave, module))
            return false;
        if (!TargetModules.Matches(module))
            return false;
        // PEFT counts layers only for modules found by the end of their name.
        if (LayersToTransform is not { Count: > 0 } layers || TargetModules.Names is null || TargetModules.Lists(module))
            return true;
        foreach (string list in LayersPattern.Count == 0 ? ["[^.]*"] : LayersPattern)
        {
            Match match = layerExpressions.GetOrAdd(list, LayerExpression).Match(module);
            if (match.Success)
                return int.TryParse(match.Groups["layer"].ValueSpan, out int layer) && layers.Contains(layer);
        }
        return false;
    }
}
