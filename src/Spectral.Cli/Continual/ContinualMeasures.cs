namespace Spectral.Cli.Continual;

/// <summary>
/// What is left of the tasks after k of them, from scores a_{l,j} on task j after task l, of which more is better.
/// </summary>
/// <param name="Average">The average over the tasks trained so far: (1/k) Σ_{j≤k} a_{k,j}.</param>
/// <param name="BackwardTransfer">
/// How later tasks changed the score of earlier ones: (1/(k−1)) Σ_{j&lt;k} (a_{k,j} − a_{j,j}); below 0 is forgetting.
/// Null after the first task. Lopez-Paz and Ranzato, 2017, arXiv 1706.08840.
/// </param>
/// <param name="Forgetting">
/// How much was lost of the best score before the last task: (1/(k−1)) Σ_{j&lt;k} (max_{1≤l&lt;k} a_{l,j} − a_{k,j}).
/// Null after the first task. Chaudhry et al., 2018, arXiv 1801.10112.
/// </param>
internal sealed record ContinualMeasures(double Average, double? BackwardTransfer, double? Forgetting)
{
    /// <summary>Computes the measures after the last row.</summary>
    /// <param name="after">The scores after each task trained so far, one row of all tasks for each; not empty.</param>
    public static ContinualMeasures Of(IReadOnlyList<IReadOnlyList<double>> after)
    {
        int k = after.Count;
        IReadOnlyList<double> last = after[^1];
        double average = last.Take(k).Average();
        if (k == 1)
            return new ContinualMeasures(average, null, null);
        return new ContinualMeasures(
            average,
            Enumerable.Range(0, k - 1).Average(j => last[j] - after[j][j]),
            Enumerable.Range(0, k - 1).Average(j => after.Take(k - 1).Max(row => row[j]) - last[j])
        );
    }
}
