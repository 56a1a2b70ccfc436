namespace Spectral.Training.Metrics;

/// <summary>Computes the share of right predictions, scikit-learn's <c>accuracy_score</c>.</summary>
public static class Accuracy
{
    /// <summary>Returns the share of right predictions, from 0 to 1; NaN without any.</summary>
    public static double Of(ConfusionMatrix counts) =>
        counts.Total == 0 ? double.NaN : (double)counts.Right / counts.Total;
}
