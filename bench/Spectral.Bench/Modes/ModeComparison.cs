namespace Spectral.Bench.Modes;

/// <summary>What one variant of a scenario takes on the CPU device in each mode.</summary>
/// <param name="Case">Name of the case.</param>
/// <param name="Shape">Sizes.</param>
/// <param name="Variant">Name of the variant.</param>
/// <param name="Kernels">Kernels that it launches, in the order of the first launch.</param>
/// <param name="Source">The kernels as the host's compiler made them from their source.</param>
/// <param name="Ptx">The PTX, interpreted.</param>
/// <param name="Counted">The same with the counters of a profiler.</param>
internal sealed record ModeComparison(
    string Case,
    string Shape,
    string Variant,
    IReadOnlyList<string> Kernels,
    ModeTimes Source,
    ModeTimes Ptx,
    ModeTimes Counted
)
{
    /// <summary>
    /// How many times slower than the source build, by the least times, which other work lengthens least.
    /// </summary>
    public double PtxRatio => Ptx.Least / Source.Least;

    /// <inheritdoc cref="PtxRatio"/>
    public double CountedRatio => Counted.Least / Source.Least;
}
