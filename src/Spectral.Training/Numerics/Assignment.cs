namespace Spectral.Training.Numerics;

/// <summary>
/// Solves the assignment problem: which row takes which column, each once, for the largest sum of scores.
/// </summary>
internal static class Assignment
{
    /// <summary>
    /// Returns the column of each row of a square matrix of scores. Shortest augmenting paths with potentials, O(n³) at
    /// worst and about O(n²) where most rows' best columns differ.
    /// </summary>
    /// <param name="scores">[n, n], row by row.</param>
    /// <param name="n">The number of rows and of columns.</param>
    public static int[] Best(ReadOnlySpan<float> scores, int n)
    {
        double[] rowPotentials = new double[n];
        double[] columnPotentials = new double[n + 1];
        int[] rowOf = new int[n + 1]; // of a column; the last one is where each path starts
        Array.Fill(rowOf, -1);
        int[] before = new int[n];
        double[] distances = new double[n];
        bool[] visited = new bool[n];
        for (int start = 0; start < n; start++)
        {
            Array.Fill(distances, double.PositiveInfinity);
            Array.Clear(visited);
            (rowOf[n], int at) = (start, n);
            do
            {
                int row = rowOf[at];
                if (at < n)
                    visited[at] = true;
                (double least, int next) = (double.PositiveInfinity, -1);
                for (int column = 0; column < n; column++)
                {
                    if (visited[column])
                        continue;
                    double cost = -scores[(row * n) + column] - rowPotentials[row] - columnPotentials[column];
                    if (cost < distances[column])
                        (distances[column], before[column]) = (cost, at);
                    if (distances[column] < least)
                        (least, next) = (distances[column], column);
                }

                rowPotentials[start] += least;
                columnPotentials[n] -= least;
                for (int column = 0; column < n; column++)
                {
                    if (visited[column])
                    {
                        rowPotentials[rowOf[column]] += least;
                        columnPotentials[column] -= least;
                    }
                    else
                    {
                        distances[column] -= least;
                    }
                }
                at = next;
            } while (rowOf[at] >= 0);

            for (; at < n; at = before[at])
                rowOf[at] = rowOf[before[at]];
        }

        int[] columnOf = new int[n];
        for (int column = 0; column < n; column++)
            columnOf[rowOf[column]] = column;
        return columnOf;
    }
}
