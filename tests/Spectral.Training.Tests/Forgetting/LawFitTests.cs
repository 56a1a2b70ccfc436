using Spectral.Tests.Support;
using Spectral.Training.Forgetting;

namespace Spectral.Training.Tests.Forgetting;

/// <summary>Tests fits of forgetting laws on points with known parameters.</summary>
public sealed class LawFitTests
{
    private static readonly int[] Steps = [10, 20, 40, 80, 160, 320, 640];

    [TestCase(0.8, 1.7, 0.35)]
    [TestCase(0.5, 4, 1)]
    [TestCase(2, 2.5, 0.05)]
    [TestCase(-0.2, -1, 0.6)]
    public void ALawInStepsIsRecovered(double s, double c, double beta)
    {
        FittedLaw law = LawFit.InSteps(Points(step => s - (c * Math.Pow(step, -beta))))!;
        Assert.That(law.Parameters.Select(parameter => parameter.Name), Is.EqualTo(new[] { "s", "c", "β" }));
        Assert.That(Values(law), Is.EqualTo(new[] { s, c, beta }).Within(1e-4));
        Assert.That(law.Residual, Is.LessThan(1e-8));
        Assert.That(law.Determination, Is.EqualTo(1).Within(1e-9));
        Assert.That((law.Points, law.IsDetermined), Is.EqualTo((Steps.Length, true)));
        Assert.That(law.At(1000), Is.EqualTo(s - (c * Math.Pow(1000, -beta))).Within(1e-5));
    }

    [TestCase(3, 2)]
    [TestCase(0.4, 1.1)]
    [TestCase(-1, 0.5)]
    public void ALawInTheUpdateIsRecovered(double a, double b)
    {
        FittedLaw law = LawFit.InUpdate(Points(step => a * Math.Pow(UpdateOf(step), b)))!;
        Assert.That(Values(law), Is.EqualTo(new[] { a, b }).Within(1e-6));
        Assert.That(law.At(0.01), Is.EqualTo(a * Math.Pow(0.01, b)).Within(1e-9));
    }

    [Test]
    public void TheLineInTheTaskLossIsThatOfTextbooks()
    {
        var random = new Random(5);
        ForgettingPoint[] points = Points(step => 1.2 - (0.7 * TaskOf(step)) + (0.05 * random.NextNormal()));
        FittedLaw law = LawFit.InTaskLoss(points)!;
        double[] x = [.. points.Select(point => point.TaskLoss!.Value)];
        double[] y = [.. points.Select(point => point.Forgetting)];
        double meanX = x.Average();
        double meanY = y.Average();
        double xx = x.Sum(value => (value - meanX) * (value - meanX));
        double slope = x.Zip(y, (one, other) => (one - meanX) * (other - meanY)).Sum() / xx;
        double intercept = meanY - (slope * meanX);
        double squares = x.Zip(y, (one, other) => Math.Pow(other - intercept - (slope * one), 2)).Sum();
        double deviation = Math.Sqrt(squares / (x.Length - 2));
        Assert.That(Values(law), Is.EqualTo(new[] { intercept, -slope }).Within(1e-10));
        Assert.That(law.Residual, Is.EqualTo(Math.Sqrt(squares / x.Length)).Within(1e-12));
        Assert.That(law.Parameters[1].StandardError, Is.EqualTo(deviation / Math.Sqrt(xx)).Within(1e-10));
        Assert.That(
            law.Parameters[0].StandardError,
            Is.EqualTo(deviation * Math.Sqrt((1.0 / x.Length) + (meanX * meanX / xx))).Within(1e-10)
        );
        const double Quantile = 2.570581835636314; // t, 5 degrees of freedom, 97.5 %
        Assert.That(
            law.Parameters[1].High - law.Parameters[1].Value,
            Is.EqualTo(Quantile * deviation / Math.Sqrt(xx)).Within(1e-9)
        );
    }

    [Test]
    public void IntervalsHoldTheTruthInNineteenOfTwentyRuns()
    {
        const int Runs = 400;
        double[] truth = [0.8, 1.7, 0.35];
        int[] within = new int[3];
        var random = new Random(6);
        for (int run = 0; run < Runs; run++)
        {
            FittedLaw law = LawFit.InSteps(
                Points(step => truth[0] - (truth[1] * Math.Pow(step, -truth[2])) + (0.002 * random.NextNormal()))
            )!;
            for (int i = 0; i < 3; i++)
            {
                FittedParameter parameter = law.Parameters[i];
                within[i] += parameter.Low <= truth[i] && truth[i] <= parameter.High ? 1 : 0;
            }
        }
        Assert.That(within.Select(count => (double)count / Runs), Is.All.EqualTo(0.95).Within(0.04));
    }

    [TestCase(1, 12.706204736432095)]
    [TestCase(2, 4.302652729911275)]
    [TestCase(3, 3.182446305284263)]
    [TestCase(4, 2.776445105197799)]
    [TestCase(7, 2.364624251592785)]
    [TestCase(10, 2.228138851964939)]
    [TestCase(30, 2.042272456301238)]
    public void QuantilesOfStudentsDistributionAreThoseOfTables(int freedom, double quantile) =>
        Assert.That(StudentT.TwoSided(0.95, freedom), Is.EqualTo(quantile).Within(1e-9));

    [Test]
    public void TooFewPointsHaveNoLawAndAsManyAsParametersNoInterval()
    {
        ForgettingPoint[] points = Points(step => 1 - (2 / Math.Sqrt(step)));
        Assert.That(LawFit.InSteps(points[..2]), Is.Null);
        FittedLaw exact = LawFit.InSteps(points[..3])!;
        Assert.That(exact.Parameters.Select(parameter => parameter.StandardError), Is.All.NaN);
        Assert.That(Values(exact), Is.EqualTo(new[] { 1, 2, 0.5 }).Within(1e-5));
        Assert.That(LawFit.InTaskLoss([.. points.Select(point => point with { TaskLoss = null })]), Is.Null);
        Assert.That(LawFit.InUpdate([.. points.Select(point => point with { Update = 0 })]), Is.Null);
        Assert.That(LawFit.InSteps([points[0], points[0], points[0], points[0]]), Is.Null, "one step four times");
    }

    [Test]
    public void AStraightLineInStepsDoesNotDetermineTheExponent() =>
        Assert.That(LawFit.InSteps(Points(step => 0.001 * step))!.IsDetermined, Is.False);

    private static ForgettingPoint[] Points(Func<int, double> forgetting) =>
        [
            .. Steps.Select(step =>
            {
                double value = forgetting(step);
                return new ForgettingPoint(step, 2 + value, value, UpdateOf(step), TaskOf(step));
            }),
        ];

    private static double UpdateOf(int step) => 0.003 * Math.Sqrt(step);

    private static double TaskOf(int step) => 3 - (0.4 * Math.Log(step));

    private static double[] Values(FittedLaw law) => [.. law.Parameters.Select(parameter => parameter.Value)];
}
