using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>The turning of singular vectors by index, where index 0 belongs to the largest value.</summary>
public sealed record VectorAlignment
{
    /// <summary>The |cos| between left vectors of the same index, |u0_i · u1_i|, [k].</summary>
    public required double[] MatchedLeft { get; init; }

    /// <summary>The |cos| between right vectors of the same index, |v0_i · v1_i|, [k].</summary>
    public required double[] MatchedRight { get; init; }

    /// <summary>
    /// The |cos| of each tuned left vector to the most similar base vector, max_j |u0_j · u1_i|, [k]. Neighbours that
    /// swapped places have small matched and large best cosines.
    /// </summary>
    public required double[] BestLeft { get; init; }

    /// <summary>The position j of the best match on the left, counted from 1, [k].</summary>
    public required int[] BestLeftPosition { get; init; }

    /// <summary>
    /// The |cos| of each tuned right vector to the most similar base vector, max_j |v0_j · v1_i|, [k].
    /// </summary>
    public required double[] BestRight { get; init; }

    /// <summary>The position j of the best match on the right, counted from 1, [k].</summary>
    public required int[] BestRightPosition { get; init; }

    /// <summary>
    /// The relative gap to the nearest neighbouring base value, g_i = min(σ0_{i−1} − σ0_i, σ0_i − σ0_{i+1}) / σ0_i,
    /// [k]. Missing neighbours are ignored.
    /// </summary>
    public required double[] Gap { get; init; }

    /// <summary>
    /// Whether a neighbouring base value is closer than ‖Δ‖₂, [k]. A single vector is then meaningless (Davis-Kahan,
    /// Wedin), and <see cref="StableLeft"/> compares the span of its cluster.
    /// </summary>
    public required bool[] Clustered { get; init; }

    /// <summary>The clusters: runs of neighbours that are closer than ‖Δ‖₂.</summary>
    public required IReadOnlyList<VectorCluster> Clusters { get; init; }

    /// <summary>
    /// The |cos| of left vectors, [k]: the matched one of a vector outside clusters, and the root mean square cosine
    /// between the spans of its cluster otherwise.
    /// </summary>
    public required double[] StableLeft { get; init; }

    /// <summary>The |cos| of right vectors, [k], computed as in <see cref="StableLeft"/>.</summary>
    public required double[] StableRight { get; init; }

    internal static VectorAlignment Of(MatrixPair pair, double updateNorm)
    {
        HostMatrix left = pair.Tuned.Left.TimesTransposed(pair.Base.Left);
        HostMatrix right = pair.Tuned.Right.TimesTransposed(pair.Base.Right);
        (double[] bestLeft, int[] leftPositions) = Best(left);
        (double[] bestRight, int[] rightPositions) = Best(right);
        double[] values = pair.Base.Values;
        VectorCluster[] clusters =
        [
            .. Runs(values, updateNorm, pair.Truncated)
                .Select(run => new VectorCluster(
                    run.First + 1,
                    run.Last + 1,
                    Similarity(left, run.First, run.Last),
                    Similarity(right, run.First, run.Last)
                )),
        ];
        double[] matchedLeft = Diagonal(left);
        double[] matchedRight = Diagonal(right);
        double[] stableLeft = [.. matchedLeft];
        double[] stableRight = [.. matchedRight];
        bool[] clustered = new bool[values.Length];
        foreach (VectorCluster cluster in clusters)
        {
            for (int i = cluster.First - 1; i < cluster.Last; i++)
            {
                (clustered[i], stableLeft[i], stableRight[i]) = (
                    true,
                    Math.Sqrt(cluster.LeftSimilarity),
                    Math.Sqrt(cluster.RightSimilarity)
                );
            }
        }

        return new VectorAlignment
        {
            MatchedLeft = matchedLeft,
            MatchedRight = matchedRight,
            BestLeft = bestLeft,
            BestLeftPosition = leftPositions,
            BestRight = bestRight,
            BestRightPosition = rightPositions,
            Gap = Gaps(values),
            Clustered = clustered,
            Clusters = clusters,
            StableLeft = stableLeft,
            StableRight = stableRight,
        };
    }

    /// <summary>Returns the |cos| of vectors of the same index, row by row.</summary>
    internal static double[] Matched(HostMatrix x, HostMatrix y) =>
        [.. Enumerable.Range(0, x.Rows).Select(i => Math.Min(1, Math.Abs(HostMatrix.Dot(x.Row(i), y.Row(i)))))];

    private static double[] Diagonal(HostMatrix cosines) =>
        [.. Enumerable.Range(0, cosines.Rows).Select(i => Math.Min(1, Math.Abs(cosines[i, i])))];

    private static (double[] Cosines, int[] Positions) Best(HostMatrix cosines)
    {
        double[] best = new double[cosines.Rows];
        int[] positions = new int[cosines.Rows];
        for (int i = 0; i < cosines.Rows; i++)
        {
            ReadOnlySpan<double> row = cosines.Row(i);
            int at = 0;
            for (int j = 1; j < row.Length; j++)
            {
                if (Math.Abs(row[j]) > Math.Abs(row[at]))
                    at = j;
            }

            (best[i], positions[i]) = (Math.Min(1, Math.Abs(row[at])), at + 1);
        }
        return (best, positions);
    }

    private static double[] Gaps(double[] values) =>
        [
            .. values
                .Select(
                    (value, i) =>
                        Math.Min(
                            i == 0 ? double.PositiveInfinity : values[i - 1] - value,
                            i + 1 == values.Length ? double.PositiveInfinity : value - values[i + 1]
                        ) / value
                )
                .Select(gap => double.IsFinite(gap) ? gap : double.NaN),
        ];

    // If the spectrum is cut off, the neighbour of the last value is unknown. That value counts as clustered, alone if
    // necessary.
    private static IEnumerable<(int First, int Last)> Runs(double[] values, double updateNorm, bool truncated)
    {
        for (int first = 0, last; first < values.Length; first = last + 1)
        {
            for (last = first; last + 1 < values.Length && values[last] - values[last + 1] < updateNorm; )
                last++;
            if (last > first || (truncated && last + 1 == values.Length && updateNorm > 0))
                yield return (first, last);
        }
    }

    private static double Similarity(HostMatrix cosines, int first, int last)
    {
        double sum = 0;
        for (int i = first; i <= last; i++)
        {
            ReadOnlySpan<double> row = cosines.Row(i)[first..(last + 1)];
            sum += HostMatrix.Dot(row, row);
        }
        return Math.Min(1, sum / (last - first + 1));
    }
}
