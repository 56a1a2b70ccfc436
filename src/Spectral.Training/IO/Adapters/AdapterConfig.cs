using System.Text.RegularExpressions;

namespace Spectral.Training;

/// <summary>
/// What <c>adapter_config.json</c> says, in PEFT's terms. Absent keys have PEFT's defaults; what cannot be represented here was refused
/// when the file was read.
/// </summary>
public sealed record AdapterConfig
{
    /// <summary>The <see cref="PeftType"/> of plain LoRA.</summary>
    public const string Lora = "LORA";

    /// <summary>The <see cref="PeftType"/> of SpecLoRA.</summary>
    public const string SpecLora = "SPECLORA";

    /// <summary>The method's name in capitals: LORA or SPECLORA.</summary>
    public required string PeftType { get; init; }

    /// <summary>The modules that are adapted.</summary>
    public required ModulePattern TargetModules { get; init; }

    /// <summary>Modules that are left out although <see cref="TargetModules"/> matches.</summary>
    public ModulePattern? ExcludeModules { get; init; }

    /// <summary>The layers that are adapted; null = all. Modules listed by their full name are adapted in any layer.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Names of the module lists that <see cref="LayersToTransform"/> counts in; empty = any.</summary>
    public IReadOnlyList<string> LayersPattern { get; init; } = [];

    /// <summary>The rank r of the low-rank part; 0 only in SpecLoRA.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>Alpha: the low-rank part is scaled by alpha/r, or alpha/√r.</summary>
    public double Alpha { get; init; } = 8;

    /// <summary>Whether the scale is alpha/√r.</summary>
    public bool UseRsLora { get; init; }

    /// <summary>Dropout that the adapter was trained with.</summary>
    public double Dropout { get; init; }

    /// <summary>Ranks of single modules: expressions on the end of the name, the first that matches wins.</summary>
    public IReadOnlyList<KeyValuePair<string, int>> RankPattern { get; init; } = [];

    /// <summary>Alphas of single modules, as <see cref="RankPattern"/>.</summary>
    public IReadOnlyList<KeyValuePair<string, double>> AlphaPattern { get; init; } = [];

    /// <summary>Number k of spectral directions; SpecLoRA only.</summary>
    public int? TopK { get; init; }

    /// <summary>Path or name of the base model.</summary>
    public string? BaseModel { get; init; }

    /// <summary>SHA-256 of base tensors as stored, by tensor name; SpecLoRA only.</summary>
    public IReadOnlyDictionary<string, string> BaseTensorSha256 { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether a module is adapted.</summary>
    public bool Matches(string module)
    {
        if (ExcludeModules?.Matches(module) ?? false)
            return false;
        if (!TargetModules.Matches(module))
            return false;
        // PEFT counts layers only for modules found by the end of their name.
        if (LayersToTransform is not { Count: > 0 } layers || TargetModules.Names is null || TargetModules.Lists(module))
            return true;
        foreach (string list in LayersPattern.Count == 0 ? ["[^.]*"] : LayersPattern)
        {
            Regex expression = ModulePattern.Expression($@"\A.*?\.(?:{list})\.(?<layer>\d+)\.", list, "layers_pattern");
            Match match = ModulePattern.Match(expression, module);
            if (match.Success)
                return int.TryParse(match.Groups["layer"].ValueSpan, out int layer) && layers.Contains(layer);
        }
        return false;
    }

    /// <summary>The rank of a module.</summary>
    public int RankOf(string module) => First(RankPattern, module) ?? Rank;

    /// <summary>The factor of a module's low-rank part; 1 when there is none.</summary>
    public double ScaleOf(string module)
    {
        int rank = RankOf(module);
        double alpha = First(AlphaPattern, module) ?? Alpha;
        return rank == 0 ? 1 : UseRsLora ? alpha / Math.Sqrt(rank) : alpha / rank;
    }

    private static T? First<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, string module) where T : struct
    {
        foreach ((string key, T value) in patterns)
        {
            Regex expression = ModulePattern.Expression($@"\A(?:.*\.)?(?:{key})\z", key, "a key of rank_pattern or alpha_pattern");
            if (ModulePattern.Match(expression, module).Success)
                return value;
        }
        return null;
    }
}
