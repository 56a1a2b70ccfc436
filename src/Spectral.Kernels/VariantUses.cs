namespace Spectral.Kernels;

/// <summary>Collects the variants that ops have run as on one device, each once.</summary>
public sealed class VariantUses
{
    private readonly HashSet<VariantUse> _uses = [];

    /// <summary>The variants recorded so far, sorted by their text.</summary>
    public IReadOnlyList<VariantUse> All => [.. _uses.OrderBy(use => use.ToString(), StringComparer.Ordinal)];

    /// <summary>Forgets all that was recorded.</summary>
    public void Clear() => _uses.Clear();

    /// <summary>Records a variant, such as one of the earlier part of a run. A known one allocates nothing.</summary>
    public void Add(in VariantUse use) => _uses.Add(use);
}
