namespace Spectral.Training.Spectra;

/// <summary>
/// Intruder dimensions (Shuttleworth et al., arXiv 2410.21228): singular vectors of the tuned weight that are nearly
/// orthogonal to every one of
/// the base's.
/// </summary>
/// <param name="Searched">How many leading vectors the counts are over.</param>
/// <param name="TruncatedSearch">Only the leading base vectors were computed and compared with, so that counts are
/// upper bounds.</param>
/// <param name="Counts">By threshold.</param>
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

/// <summary>The intruders at one threshold.</summary>
/// <param name="Threshold">ε: |cos| to every base vector is below it.</param>
/// <param name="Left">Among the leading left vectors.</param>
/// <param name="Right">Among the leading right vectors.</param>
/// <param name="LeftPositions">Positions of all of them in the tuned spectrum, counted from 1.</param>
/// <param name="RightPositions">The same on the right.</param>
public sealed record IntruderCount(double Threshold, int Left, int Right, int[] LeftPositions, int[] RightPositions);
