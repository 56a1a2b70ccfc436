namespace Spectral.Training.Spectra;

/// <summary>
/// The intruder dimensions of a matrix (Shuttleworth et al., arXiv 2410.21228): singular vectors of the tuned weight
/// that are nearly orthogonal to every singular vector of the base.
/// </summary>
/// <param name="Searched">The number of leading vectors that are examined.</param>
/// <param name="TruncatedSearch">
/// Whether only the leading base vectors were computed and compared with, so that the counts are upper bounds.
/// </param>
/// <param name="Counts">The counts, one for each threshold.</param>
public sealed record Intruders(int Searched, bool TruncatedSearch, IReadOnlyList<IntruderCount> Counts)
{
    internal static Intruders Of(VectorAlignment vectors, bool truncated, SpectraOptions options)
    {
        int searched = Math.Min(options.IntruderSearch, vectors.BestLeft.Length);
        return new Intruders(
            searched,
            truncated,
            [
                .. options.IntruderThresholds.Select(threshold =>
                {
                    int[] left = Below(vectors.BestLeft, threshold);
                    int[] right = Below(vectors.BestRight, threshold);
                    return new IntruderCount(
                        threshold,
                        left.Count(position => position <= searched),
                        right.Count(position => position <= searched),
                        left,
                        right
                    );
                }),
            ]
        );
    }

    private static int[] Below(double[] best, double threshold) =>
        [.. Enumerable.Range(0, best.Length).Where(i => best[i] < threshold).Select(i => i + 1)];
}
