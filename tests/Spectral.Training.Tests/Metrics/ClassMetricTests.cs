using Spectral.Training.Metrics;

namespace Spectral.Training.Tests.Metrics;

/// <summary>
/// Metrics of classes against scikit-learn's definitions, with the fractions worked out by hand in the comments.
/// </summary>
public sealed class ClassMetricTests
{
    // Truth and prediction of two classes: TP 3, FN 1, FP 2, TN 4.
    private static readonly ConfusionMatrix Two = new(
        [1, 1, 1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 1, 1, 0, 0, 0, 0],
        2
    );

    // The example of scikit-learn's f1_score: precision and recall 2/3 and 1 of class 0, 0 of the others; a fourth
    // class does not occur.
    private static readonly ConfusionMatrix Several = new([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], 4);

    [Test]
    public void AccuracyIsTheShareOfRightOnes()
    {
        Assert.That(Accuracy.Of(Two), Is.EqualTo(7.0 / 10).Within(1e-15));
        Assert.That(Accuracy.Of(Several), Is.EqualTo(2.0 / 6).Within(1e-15));
        Assert.That(Accuracy.Of(new ConfusionMatrix([], [], 2)), Is.NaN);
    }

    [Test]
    public void F1IsTheHarmonicMeanOfPrecisionAndRecall()
    {
        // Precision 3/5, recall 3/4: 2 · 9/20 / (27/20) = 2/3.
        Assert.That(F1Score.Of(Two), Is.EqualTo(2.0 / 3).Within(1e-15));
        // Class 0 as positive: precision 4/5, recall 4/6: 2 · 8/15 / (22/15) = 8/11.
        Assert.That(F1Score.Of(Two, 0), Is.EqualTo(8.0 / 11).Within(1e-15));
        Assert.That(F1Score.Macro(Two), Is.EqualTo((2.0 / 3 + 8.0 / 11) / 2).Within(1e-15));
    }

    [Test]
    public void MacroF1LeavesOutClassesThatAreNowhere()
    {
        // scikit-learn's documentation has 0.26666666666666666 for these six: (4/5 + 0 + 0) / 3.
        Assert.That(F1Score.Macro(Several), Is.EqualTo(0.26666666666666666).Within(1e-15));
        Assert.That(F1Score.Of(Several, 3), Is.Zero);
        Assert.That(F1Score.Macro(new ConfusionMatrix([], [], 2)), Is.NaN);
    }

    [Test]
    public void MatthewsIsACorrelation()
    {
        // (TP · TN − FP · FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN)) = (12 − 2) / √(5 · 4 · 6 · 5) = 10/√600.
        Assert.That(MatthewsCorrelation.Of(Two), Is.EqualTo(10 / Math.Sqrt(600)).Within(1e-15));
        // scikit-learn's documentation: matthews_corrcoef([+1, +1, +1, −1], [+1, −1, +1, +1]) is −0.33.
        Assert.That(
            MatthewsCorrelation.Of(new ConfusionMatrix([1, 1, 1, 0], [1, 0, 1, 1], 2)),
            Is.EqualTo(-1.0 / 3).Within(1e-15)
        );
    }

    [Test]
    public void MatthewsOfSeveralClassesIsGorodkins()
    {
        // Right c = 2 of s = 6; true t = (2, 2, 2), predicted p = (3, 2, 1):
        // (2 · 6 − 12) / √((36 − 12)(36 − 14)) = 0.
        Assert.That(MatthewsCorrelation.Of(Several), Is.Zero.Within(1e-15));
        // c = 3 of s = 5; t = p = (2, 2, 1): (15 − 9) / √((25 − 9)(25 − 9)) = 6/16.
        Assert.That(
            MatthewsCorrelation.Of(new ConfusionMatrix([0, 0, 1, 1, 2], [0, 0, 1, 2, 1], 3)),
            Is.EqualTo(6.0 / 16).Within(1e-15)
        );
    }

    [Test]
    public void MatthewsOfOneClassIsZero() =>
        Assert.That(MatthewsCorrelation.Of(new ConfusionMatrix([1, 0, 1], [1, 1, 1], 2)), Is.Zero);

    [Test]
    public void ClassesOutOfRangeAreRefused()
    {
        Assert.That(() => new ConfusionMatrix([0], [2], 2), Throws.ArgumentException.With.Message.Contains("class 2"));
        Assert.That(
            () => new ConfusionMatrix([0], [], 2),
            Throws.ArgumentException.With.Message.Contains("expected 1")
        );
    }
}
