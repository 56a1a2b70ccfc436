namespace Spectral.Kernels;

/// <summary>Collects the variants that ops used on one device, each once.</summary>
public sealed class VariantUses
{
    private readonly HashSet<VariantUse> _uses = [];

    /// <summary>Variants recorded so far, sorted by their text.</summary>
    public IReadOnlyList<VariantUse> All => [.. _uses.OrderBy(use => use.ToString(), StringComparer.Ordinal)];

    /// <summary>Forgets all recorded variants.</summary>
    public void Clear() => _uses.Clear();

    /// <summary>Records a variant, such as one of the earlier part of a run. A known one allocates nothing.</summary>
    public void Add(in VariantUse use) => _uses.Add(use);
}
