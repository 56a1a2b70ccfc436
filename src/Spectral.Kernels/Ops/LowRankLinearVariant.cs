using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>One way to compute a <see cref="LowRankProduct"/>. Rows and columns are at least 1.</summary>
internal abstract class LowRankLinearVariant : IVariant<LowRankVariant, LowRankCase>
{
    public abstract LowRankVariant Kind { get; }

    public abstract string Name { get; }

    /// <summary>
    /// Whether it is made of library products, for which a scale (alpha) and columns of a wider matrix (leading
    /// dimension) cost nothing. Else the source comes scaled and as a matrix of its own.
    /// </summary>
    public abstract bool IsLibrary { get; }

    public virtual string? Refuses(in LowRankCase call) => null;

    public abstract void Run(in LowRankProduct product);
}
