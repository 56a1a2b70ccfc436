using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>Computes a <see cref="LowRankProduct"/> in one of several ways. Rows and columns are at least 1.</summary>
internal abstract class LowRankLinearVariant : IVariant<LowRankVariant, LowRankCase>
{
    public abstract LowRankVariant Kind { get; }

    public abstract string Name { get; }

    /// <summary>
    /// Whether the variant consists of library products, for which a scale (alpha) and columns of a wider matrix
    /// (leading dimension) cost nothing. Other variants get a source that is scaled already.
    /// </summary>
    public abstract bool IsLibrary { get; }

    /// <summary>
    /// Returns whether the variant reads the source, a layer's columns of z or g, where it lies; else it gets a copy.
    /// </summary>
    public virtual bool Reads(ColumnRange source) => IsLibrary || source.IsWhole;

    public virtual string? Refuses(in LowRankCase call) => null;

    public abstract void Run(in LowRankProduct product);
}
