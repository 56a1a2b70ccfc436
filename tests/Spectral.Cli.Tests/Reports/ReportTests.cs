using Spectral.Cli.Comparisons;
using Spectral.Cli.Reports;

namespace Spectral.Cli.Tests.Reports;

/// <summary>Tests what reports do with their numbers before a browser shows them.</summary>
[Parallelizable(ParallelScope.All)]
public sealed class ReportTests
{
    private static LossPoint[] Curve(int count) =>
        [.. Enumerable.Range(1, count).Select(step => new LossPoint(step, 3 * Math.Exp(-step / 40.0)))];

    [Test]
    public void ASpreadIsThatOfASample()
    {
        Assert.That(Spread.Of([1.0, 2.0, null, 6.0])!.Text("0.000"), Is.EqualTo("3.000 ± 2.646"));
        Assert.That(Spread.Of([0.25])!.Text("0.0", 100), Is.EqualTo("25.0"));
        Assert.That(Spread.Of([null, double.NaN]), Is.Null);
    }

    [Test]
    public void AMeanCurveHasABandOfItsSeeds()
    {
        MeanPoint[] points = MeanCurve.Of(
            [
                [new(1, 2), new(2, 4)],
                [new(1, 4), new(2, double.NaN)],
            ],
            smooth: false,
            methods: 1
        );
        Assert.That(points, Is.EqualTo(new MeanPoint[] { new(1, 3, 2, 4), new(2, 4, 4, 4) }));
    }

    [Test]
    public void LongRunsAreThinnedToMeans()
    {
        LossPoint[] thin = LossCurve.Thin(Curve(5000), 600);
        Assert.That(thin, Has.Length.InRange(300, 600));
        Assert.That(thin[^1].Step, Is.EqualTo(5000));
        Assert.That(thin[0].Loss, Is.EqualTo(Curve(9).Average(point => point.Loss)).Within(1e-12));
    }

    [Test]
    public void APageOfManyMethodsStaysSmall()
    {
        var chart = new CurvesChart("a", "a", "a", "step", "loss");
        for (int i = 0; i < 70; i++)
        {
            chart.Add(
                $"method {i}",
                i,
                MeanCurve.Of([Curve(3000), Curve(2999), Curve(2000)], smooth: true, methods: 70)
            );
        }

        var page = new HtmlPage("a", "b");
        page.Chart(chart.ToJson());
        Assert.That(page.Render(), Has.Length.LessThan(600_000));
    }
}
