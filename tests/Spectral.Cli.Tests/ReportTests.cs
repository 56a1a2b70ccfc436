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
        foreach (XElement line in root.Elements().Where(element => element.Name.LocalName == "polyline"))
            foreach (string point in line.Attribute("points")!.Value.Split(' '))
            {
                double[] place = [.. point.Split(',').Select(value => double.Parse(value, System.Globalization.CultureInfo.InvariantCulture))];
                Assert.That(place[0], Is.InRange(0, 720));
                Assert.That(place[1], Is.InRange(0, 340));
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
