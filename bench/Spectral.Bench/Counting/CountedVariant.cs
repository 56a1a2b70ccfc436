namespace Spectral.Bench.Counting;

/// <summary>What was counted of one variant of a scenario.</summary>
/// <param name="Case">Name of the case.</param>
/// <param name="Target">Number of its target in docs/performance.md; 0 for none.</param>
/// <param name="Shape">Sizes.</param>
/// <param name="Variant">Name of the variant.</param>
/// <param name="Bytes">Bytes of the contract.</param>
/// <param name="Flops">Operations of the contract.</param>
/// <param name="Launches">Our kernels, in order; products of the BLAS library are not among them.</param>
internal sealed record CountedVariant(
    string Case,
    int Target,
    string Shape,
    string Variant,
    double Bytes,
    double Flops,
    IReadOnlyList<CountedLaunch> Launches
)
{
    // A product left to the library is most of the work of its scenario.
    private const double LeastShare = 0.9;

    public CountedLaunch Total { get; } = CountedLaunch.Sum("all", Launches);

    /// <summary>
    /// Whether all of the contract's work is in <see cref="Launches"/>, none of it in the BLAS library.
    /// </summary>
    public bool IsWhole => Total.Operations >= LeastShare * Flops;

    /// <summary>The launches of each kernel together, in the order of the first.</summary>
    public IReadOnlyList<(int Count, CountedLaunch Sum)> ByKernel =>
        [
            .. Launches
                .GroupBy(launch => launch.Kernel)
                .Select(group => (group.Count(), CountedLaunch.Sum(group.Key, [.. group]))),
        ];

    /// <summary>The bound of the whole variant, the library's products aside.</summary>
    public Bound BoundOn(DeviceRates rates) => Bound.Of(rates, Launches, IsWhole ? Bytes : 0);
}
