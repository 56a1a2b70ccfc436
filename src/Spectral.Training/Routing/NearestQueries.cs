namespace Spectral.Training.Routing;

/// <summary>
/// Chooses among experts by the k nearest neighbours: the expert that most of the k queries closest to a feature belong
/// to, in the Euclidean distance; of experts with equally many, the one with the nearest query.
/// </summary>
/// <param name="features">The features of all queries, each of the same length.</param>
/// <param name="experts">The number of the expert that each query belongs to.</param>
/// <param name="count">k, from 1 to the number of queries.</param>
internal sealed class NearestQueries(IReadOnlyList<float[]> features, IReadOnlyList<int> experts, int count)
{
    /// <summary>Returns the number of the expert for a feature.</summary>
    public int Choose(float[] feature)
    {
        double[] squares = [.. features.Select(query => SquaredDistance(query, feature))];
        // Sorting is stable: of equally distant queries the first comes first.
        int[] nearest = [.. Enumerable.Range(0, squares.Length).OrderBy(query => squares[query]).Take(count)];
        return nearest.GroupBy(query => experts[query]).MaxBy(group => group.Count())!.Key;
    }

    private static double SquaredDistance(float[] a, float[] b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            double difference = (double)a[i] - b[i];
            sum += difference * difference;
        }
        return sum;
    }
}
