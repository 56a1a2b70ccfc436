namespace Spectral.Training.Metrics;

/// <summary>
/// Computes the correlation of true and predicted classes (Matthews, 1975), for several classes in the form R_K of
/// Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", 2004; scikit-learn's
/// <c>matthews_corrcoef</c>.
/// </summary>
public static class MatthewsCorrelation
{
    /// <summary>
    /// Returns the correlation, from −1 to 1; 0 where all true or all predicted classes are the same.
    /// </summary>
    public static double Of(ConfusionMatrix counts)
    {
        (double both, double expected, double predicted) = (0, 0, 0);
        for (int label = 0; label < counts.Classes; label++)
        {
            (double actual, double guessed) = (counts.Expected(label), counts.Predicted(label));
            both += actual * guessed;
            expected += actual * actual;
            predicted += guessed * guessed;
        }

        double total = counts.Total;
        double spread = (total * total - expected) * (total * total - predicted);
        return spread == 0 ? 0 : (counts.Right * total - both) / Math.Sqrt(spread);
    }
}
