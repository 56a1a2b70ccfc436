namespace Spectral.Kernels.Ops.Dispatch;

/// <summary>A variant that an op has run as.</summary>
/// <param name="What">Op, direction and type, e.g. <c>low_rank_linear forward bf16</c>.</param>
/// <param name="Variant">The variant's name.</param>
/// <param name="Forced">The variant that was forced and does not apply; null when none was.</param>
/// <param name="Refusal">Why it does not.</param>
public readonly record struct VariantUse(string What, string Variant, string? Forced, string? Refusal)
{
    /// <summary>The variant and, if another was forced, why that did not run.</summary>
    public string Choice => Forced is null ? Variant : $"{Variant} ({Forced} does not apply: {Refusal})";

    /// <inheritdoc/>
    public override string ToString() => $"{What}: {Choice}";
}

/// <summary>The variants that ops have run as on one device, each once. Adding a known one allocates nothing.</summary>
public sealed class VariantUses
{
    private readonly HashSet<VariantUse> _uses = [];

    /// <summary>All so far, sorted.</summary>
    public IReadOnlyList<VariantUse> All => [.. _uses.OrderBy(use => use.ToString(), StringComparer.Ordinal)];

    /// <summary>Forgets them.</summary>
    public void Clear() => _uses.Clear();

    /// <summary>Adds one, such as of the earlier part of a run.</summary>
    public void Add(in VariantUse use) => _uses.Add(use);
}
