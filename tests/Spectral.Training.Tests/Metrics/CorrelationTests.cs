using Spectral.Training.Metrics;

namespace Spectral.Training.Tests.Metrics;

/// <summary>Correlations against scipy's definitions, with the fractions worked out by hand in the comments.</summary>
public sealed class CorrelationTests
{
    [Test]
    public void PearsonIsTheCosineOfTheDeviations()
    {
        // Means 2.5 and 2.5; deviations (−1.5, −0.5, 0.5, 1.5) and (−1.5, 0.5, −0.5, 1.5):
        // (2.25 − 0.25 − 0.25 + 2.25) / 5 = 4/5.
        Assert.That(PearsonCorrelation.Of([1, 2, 3, 4], [1, 3, 2, 4]), Is.EqualTo(0.8).Within(1e-15));
        // Means 2 and 4: deviations (−1, 0, 1) and (−3, −1, 4): 7 / √(2 · 26).
        Assert.That(PearsonCorrelation.Of([1, 2, 3], [1, 3, 8]), Is.EqualTo(7 / Math.Sqrt(52)).Within(1e-15));
    }

    [Test]
    public void EqualValuesShareTheMeanOfTheirRanks() =>
        Assert.That(SpearmanCorrelation.Ranks([0.5, 3, 3, -1, 3]), Is.EqualTo(new[] { 2, 4, 4, 1, 4.0 }));

    [Test]
    public void SpearmanIsPearsonOfRanks()
    {
        // 1 − 6 Σd² / (n(n² − 1)) without ties: d = (0, 1, −1, 0, 0): 1 − 12/120.
        Assert.That(SpearmanCorrelation.Of([1, 2, 3, 4, 5], [10, 300, 200, 4000, 5000]), Is.EqualTo(0.9).Within(1e-15));
        // The example of scipy's documentation, 0.8207826816681233: ranks (1..5) and (5, 6, 7, 8, 7) → (1, 2, 3.5, 5,
        // 3.5): 8 / √(10 · 9.5).
        Assert.That(
            SpearmanCorrelation.Of([1, 2, 3, 4, 5], [5, 6, 7, 8, 7]),
            Is.EqualTo(0.8207826816681233).Within(1e-15)
        );
    }

    [Test]
    public void WhatIsConstantHasNoCorrelation()
    {
        Assert.That(PearsonCorrelation.Of([1, 2], [3, 3]), Is.NaN);
        Assert.That(SpearmanCorrelation.Of([1, 2], [3, 3]), Is.NaN);
        Assert.That(PearsonCorrelation.Of([1], [3]), Is.NaN);
        Assert.That(PearsonCorrelation.Of([], []), Is.NaN);
    }

    [Test]
    public void WhatIsNoNumberSpoilsTheCorrelation()
    {
        Assert.That(PearsonCorrelation.Of([1, 2, 3], [1, double.NaN, 3]), Is.NaN);
        Assert.That(SpearmanCorrelation.Of([1, 2, 3], [1, double.NaN, 3]), Is.NaN);
    }

    [Test]
    public void LengthsHaveToAgree() =>
        Assert.That(
            () => PearsonCorrelation.Of([1, 2], [1]),
            Throws.ArgumentException.With.Message.Contains("expected 2")
        );
}
