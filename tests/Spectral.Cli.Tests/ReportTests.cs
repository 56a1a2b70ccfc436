using System.Xml.Linq;

namespace Spectral.Cli.Tests;

/// <summary>The report and its picture, as text: well-formed, escaped, self-contained.</summary>
[Parallelizable(ParallelScope.All)]
public sealed class ReportTests
{
    private static LossPoint[] Curve(int count) => [.. Enumerable.Range(1, count).Select(step => new LossPoint(step, 3 * Math.Exp(-step / 40.0)))];

    [TestCase(0), TestCase(1), TestCase(2), TestCase(45), TestCase(5000)]
    public void ChartIsWellFormedAtAnyLength(int steps)
    {
        string svg = LossChart.Svg(Curve(steps), Curve(steps / 20));
        XElement root = XDocument.Parse(svg).Root!;
        Assert.That(root.Name.LocalName, Is.EqualTo("svg"));
        Assert.That(svg, Has.Length.LessThan(60_000));
        StaysInside(root, ChartSize.Wide);
    }

    [TestCase(0), TestCase(1), TestCase(3)]
    public void AComparisonsChartsAreWellFormed(int methods)
    {
        foreach (ChartSize size in new[] { ChartSize.Wide, ChartSize.Narrow })
        {
            // Two seeds, the second of which broke off early, over four powers of ten.
            MeanPoint[][] curves = [.. Enumerable.Range(1, methods).Select(i => MeanCurve.Of([Curve(500), Curve(300 * i)], smooth: true, methods))];
            XElement root = XDocument.Parse(MeanCurve.Svg(curves, "loss <of> \"all\"", size)).Root!;
            StaysInside(root, size);
            Assert.That(root.Elements().Count(element => element.Name.LocalName == "polyline"), Is.EqualTo(methods));
            Assert.That(root.Elements().Count(element => element.Name.LocalName == "polygon"), Is.EqualTo(methods));
            (string, Spread?)[] rows = [("a method of a long name", null), .. Enumerable.Range(0, methods).Select(i => ($"m{i}", Spread.Of([0.5, 0.001 * i, null, double.NaN])))];
            XElement dots = XDocument.Parse(SeedDots.Svg(rows, "loss", 1, size)).Root!;
            Assert.That(dots.Elements().Count(element => element.Name.LocalName == "circle"), Is.EqualTo(2 * methods));
        }
    }

    [Test]
    public void TwoMeasurementsAreNoLine()
    {
        static int Lines(int measurements) => XDocument.Parse(LossChart.Svg(Curve(50), Curve(measurements))).Root!.Elements().Count(element => element.Name.LocalName == "polyline" && element.Attribute("class")!.Value == "eval");
        Assert.That((Lines(2), Lines(3)), Is.EqualTo((0, 2)), "the curve and its sample in the legend");
    }

    [Test]
    public void ASpreadIsThatOfASample()
    {
        Assert.That(Spread.Of([1.0, 2.0, null, 6.0])!.Text("0.000"), Is.EqualTo("3.000 ± 2.646"));
        Assert.That(Spread.Of([0.25])!.Text("0.0", 100), Is.EqualTo("25.0"));
        Assert.That(Spread.Of([null, double.NaN]), Is.Null);
    }

    [TestCase(0.004, 9, true), TestCase(0.5, 9, false), TestCase(0, 9, false), TestCase(-1, 9, false), TestCase(2, 2, false), TestCase(1e-7, 1e5, true)]
    public void TicksAreRoundAndInside(double low, double high, bool logarithmic)
    {
        ChartAxis axis = ChartAxis.Fitting(low, high, 300, 20);
        Assert.That(axis.IsLogarithmic, Is.EqualTo(logarithmic));
        double[] ticks = [.. axis.Ticks()];
        Assert.That(ticks, Has.Length.InRange(2, 14));
        foreach (double value in (double[])[.. ticks, low, high]) Assert.That(axis.At(value), Is.InRange(20 - 1e-6, 300 + 1e-6));
    }

    private static void StaysInside(XElement root, ChartSize size)
    {
        foreach (XElement line in root.Elements().Where(element => element.Name.LocalName is "polyline" or "polygon"))
            foreach (string point in line.Attribute("points")!.Value.Split(' '))
            {
                double[] place = [.. point.Split(',').Select(value => double.Parse(value, System.Globalization.CultureInfo.InvariantCulture))];
                Assert.That(place[0], Is.InRange(0, size.Width));
                Assert.That(place[1], Is.InRange(0, size.Height));
            }
    }

    [Test]
    public void WhatIsNotFiniteIsLeftOut()
    {
        string svg = LossChart.Svg([new(1, 2), new(2, double.NaN), new(3, double.PositiveInfinity), new(4, 1)], [new(0, double.NaN)]);
        Assert.That(svg, Does.Not.Contain("NaN").And.Not.Contain("∞").And.Not.Contain("Infinity"));
    }

    [Test]
    public void ConstantLossHasAnAxis() => Assert.That(XDocument.Parse(LossChart.Svg([new(1, 0), new(2, 0)], [])).Descendants().Count(), Is.GreaterThan(5));

    [Test]
    public void PageEscapesWhatItIsGiven()
    {
        string page = new HtmlReport
        {
            Title = "a <b> & \"c\"",
            Summary = "<script>alert(1)</script>",
            Numbers = [new BeforeAfter("<i>", "1", "2")],
            Settings = [("data", "x<y>&z")],
            Training = Curve(30),
        }.Render();
        Assert.That(page, Does.Not.Contain("<script").And.Not.Contain("<b>").And.Not.Contain("<i>"));
        Assert.That(page, Does.Contain("a &lt;b&gt; &amp;").And.Contain("x&lt;y&gt;&amp;z"));
        Assert.That(page, Does.Contain("name=\"viewport\"").And.Contain("prefers-color-scheme").And.Not.Match("(src|href)=").And.Not.Match("url\\("));
    }
}
