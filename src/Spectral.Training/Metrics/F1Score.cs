namespace Spectral.Training.Metrics;

/// <summary>
/// Computes the harmonic mean of precision and recall of a class, 2 TP / (2 TP + FP + FN), scikit-learn's
/// <c>f1_score</c>.
/// </summary>
public static class F1Score
{
    /// <summary>Returns the score of one class; 0 where it neither occurs nor is predicted.</summary>
    /// <param name="counts">The counts of predictions.</param>
    /// <param name="label">The class that counts as positive; 1 is usual for two classes.</param>
    public static double Of(ConfusionMatrix counts, int label = 1)
    {
        long occurs = counts.Expected(label) + counts.Predicted(label);
        return occurs == 0 ? 0 : 2.0 * counts[label, label] / occurs;
    }

    /// <summary>
    /// Returns the mean of the scores of the classes that occur or are predicted (<c>average="macro"</c>); NaN without
    /// any.
    /// </summary>
    public static double Macro(ConfusionMatrix counts)
    {
        int[] labels =
        [
            .. Enumerable.Range(0, counts.Classes).Where(label => counts.Expected(label) + counts.Predicted(label) > 0),
        ];
        return labels.Length == 0 ? double.NaN : labels.Average(label => Of(counts, label));
    }
}
