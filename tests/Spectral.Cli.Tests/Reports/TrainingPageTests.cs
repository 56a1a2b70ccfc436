using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Spectral.Cli.Reports;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Reports;

/// <summary>Tests the pages of `finetune` and `compare` in a browser.</summary>
public sealed class TrainingPageTests : PageFixture
{
    private const string Hostile = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\u2028\"'&";
    private const int Steps = 12;
    private const int EvalEvery = 4;

    private string Report => At("run/report.html");

    private string Compare => At("cmp/compare.html");

    protected override void MakePages()
    {
        // A folder's name is the page's title.
        string model = TinyModel.Create(At("<script>alert(1)<&"));
        string data = TinyModel.WriteData(At("data.jsonl"), 12);
        string[] common =
        [
            "--model",
            model,
            "--data",
            data,
            "--eval",
            data,
            "--steps",
            $"{Steps}",
            "--eval-every",
            $"{EvalEvery}",
            "--batch",
            "2",
            "--lr",
            "1e-2",
            "--device",
            "cpu",
        ];
        CommandLine.Run(["finetune", .. common, "--out", At("run")]).Succeeded();
        CommandLine
            .Run([
                "compare",
                .. common,
                "--out",
                At("cmp"),
                "--methods",
                "lora,speclora,vera",
                "--seeds",
                "2",
                "--budget",
                "steps",
                "--rank",
                "12",
            ])
            .Succeeded();
        LossPoint[] none = [];
        LossPoint[] one = [new(1, 2.5)];
        LossPoint[] constant = [new(1, 0), new(2, 0)];
        LossPoint[] broken = [new(1, double.NaN), new(2, 3), new(3, double.PositiveInfinity), new(4, 1)];
        foreach (
            (string name, LossPoint[] training, LossPoint[] held) in new[]
            {
                ("none", none, none),
                ("one", one, one),
                ("constant", constant, none),
                ("broken", broken, [new(0, double.NaN)]),
            }
        )
        {
            File.WriteAllText(At($"{name}.html"), Page(training, held));
        }
    }

    private static string Page(LossPoint[] training, LossPoint[] held) =>
        new HtmlReport
        {
            Title = Hostile,
            Summary = Hostile,
            Numbers = [new BeforeAfter(Hostile, Hostile, "2")],
            Settings = [(Hostile, Hostile)],
            Training = training,
            Evaluation = held,
        }.Render();

    [Test]
    public async Task EveryPageIsSoundInLightAndDarkOnADeskAndAPhone(
        [Values("run/report", "cmp/compare", "none", "one", "constant", "broken")] string page,
        [Values(1200, 360)] int width,
        [Values] bool dark
    ) => await IsSound(At(page + ".html"), width, dark);

    [TestCase("run/report")]
    [TestCase("cmp/compare")]
    public void APageIsOneSmallFile(string page)
    {
        string text = File.ReadAllText(At(page + ".html"));
        Assert.That(text, Has.Length.LessThan(600_000));
        Assert.That(text, Does.Contain("default-src 'none'").And.Not.Match("<(link|img|iframe)"));
        Assert.That(Regex.Count(text, "<script"), Is.EqualTo(2), "the data and the script");
        Assert.That(Regex.Count(text, "</script"), Is.EqualTo(2));
    }

    [Test]
    public async Task EveryRecordedLossIsDrawn()
    {
        await using BrowserPage page = await Open(Report);
        int measured = Steps / EvalEvery + 1;
        Assert.That(
            await page.Evaluate<int[]>(PageProbe.Lines("loss")),
            Is.EqualTo(new[] { Steps, Steps, measured }),
            "each step, its mean, held-out records"
        );
        Assert.That(await page.Evaluate<int>(PageProbe.Dots("loss")), Is.EqualTo(measured));
        await page.Click("#loss summary");
        string[] losses = await page.Evaluate<string[]>(PageProbe.Column("#loss", 2));
        Assert.That(losses, Has.Length.EqualTo(2 * Steps + measured));
        double[] logged =
        [
            .. File.ReadLines(At("run/train_log.jsonl"))
                .Select(line => JsonSerializer.Deserialize<JsonElement>(line).GetProperty("loss").GetDouble()),
        ];
        Assert.That(
            losses[..Steps].Select(double.Parse),
            Is.EqualTo(logged).Within(0.06).Percent,
            "four digits are shown"
        );
    }

    [Test]
    public async Task KeysMoveAlongAChartAndAreAnswered()
    {
        await using BrowserPage page = await Open(Report);
        await page.Evaluate<bool>("document.querySelector('#loss .plot').focus(), true");
        await page.Press("ArrowRight");
        Assert.That(await page.Evaluate<string>(PageProbe.Aloud("loss")), Does.StartWith("each step, step 1: loss "));
        await page.Press("ArrowRight", "ArrowRight");
        Assert.That(await page.Evaluate<string>(PageProbe.Aloud("loss")), Does.StartWith("each step, step 3: "));
        await page.Press("ArrowDown");
        Assert.That(
            await page.Evaluate<string>(PageProbe.Aloud("loss")),
            Does.StartWith("training, step 3: "),
            "the same place on the next line"
        );
        await page.Press("End");
        string last = await page.Evaluate<string>(PageProbe.Aloud("loss"));
        Assert.That(last, Does.StartWith($"training, step {Steps}: "));
        Assert.That(
            await page.Evaluate<string>("document.querySelector('#loss .tip').innerText.replace('\\n', ': ')"),
            Is.EqualTo(last),
            "seen and heard alike"
        );
        Assert.That(await page.Evaluate<int>("document.querySelectorAll('#loss .ring').length"), Is.EqualTo(1));
        await page.Press("Escape");
        Assert.That(await page.Evaluate<bool>("document.querySelector('#loss .tip').hidden"));
    }

    [Test]
    public async Task APointerShowsThePointItIsNearest()
    {
        await using BrowserPage page = await Open(Report);
        double[] dot = await page.Evaluate<double[]>(
            "(() => { const d = [...document.querySelectorAll('#loss .plot circle')].filter(c => "
                + "!c.closest('.key'))[1]; d.scrollIntoView({block: 'center'}); const b = "
                + "d.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        );
        await page.Point(dot[0] + 2, dot[1] - 2);
        Assert.That(
            await page.Evaluate<string>("document.querySelector('#loss .tip strong').textContent"),
            Is.EqualTo($"held-out records, step {EvalEvery}")
        );
        Assert.That(await page.Evaluate<string>(PageProbe.Aloud("loss")), Is.Empty, "a moving mouse is not read out");
    }

    [Test]
    public async Task TheTableOfMethodsSortsByClickAndByKey()
    {
        await using BrowserPage page = await Open(Compare);
        const int Trainable = 2;
        string head = $"table.sortable th:nth-child({Trainable + 1})";
        string[] before = await page.Evaluate<string[]>(PageProbe.Column("table.sortable", Trainable));
        string[] rising =
        [
            .. before.OrderBy(text => double.Parse(text, System.Globalization.CultureInfo.InvariantCulture)),
        ];
        Assert.That(
            rising,
            Is.Not.EqualTo(before).And.Not.EqualTo(before.Order(StringComparer.Ordinal)),
            "an order that only numbers have"
        );
        await page.Click($"{head} button");
        Assert.That(await page.Evaluate<string[]>(PageProbe.Column("table.sortable", Trainable)), Is.EqualTo(rising));
        Assert.That(await page.Evaluate<string>($"document.querySelector('{head}').ariaSort"), Is.EqualTo("ascending"));
        await page.Press("Enter");
        Assert.That(
            await page.Evaluate<string[]>(PageProbe.Column("table.sortable", Trainable)),
            Is.EqualTo(rising.Reverse())
        );
        Assert.That(
            await page.Evaluate<string>($"document.querySelector('{head}').ariaSort"),
            Is.EqualTo("descending")
        );
        await page.Evaluate<bool>("document.querySelector('table.sortable th button').focus(), true");
        await page.Press(" ");
        Assert.That(await page.Evaluate<string[]>(PageProbe.Column("table.sortable", 0)), Is.Ordered);
        Assert.That(
            await page.Evaluate<string[]>(
                "[...document.querySelectorAll('table.sortable th[aria-sort]')].map(head => head.textContent)"
            ),
            Is.EqualTo(new[] { "method" }),
            "one column at a time"
        );
    }

    [Test]
    public async Task BoxesHideAMethodInAllCharts()
    {
        await using BrowserPage page = await Open(Compare);
        Assert.That(
            await page.Evaluate<int[]>(PageProbe.Lines("training-loss")),
            Is.EqualTo(new[] { Steps, Steps, Steps })
        );
        Assert.That(await page.Evaluate<int[]>(PageProbe.Lines("held-out-loss")), Has.Length.EqualTo(3));
        Assert.That(
            (
                await page.Evaluate<int>(PageProbe.Dots("eval-loss")),
                await page.Evaluate<int>(PageProbe.Dots("exact-match"))
            ),
            Is.EqualTo((6, 6)),
            "a dot for each seed"
        );
        await page.Evaluate<bool>("document.querySelector('.chooser label:nth-of-type(2) input').focus(), true");
        await page.Press(" ");
        Assert.That(await page.Evaluate<int[]>(PageProbe.Lines("training-loss")), Has.Length.EqualTo(2));
        Assert.That(await page.Evaluate<int>(PageProbe.Dots("eval-loss")), Is.EqualTo(4));
        Assert.That(
            await page.Evaluate<int>(
                "document.querySelectorAll('#training-loss .slot0, #training-loss .slot2').length"
            ),
            Is.EqualTo(4),
            "a line and a band each, in the colours they had"
        );
        await page.Press(" ");
        Assert.That(await page.Evaluate<int[]>(PageProbe.Lines("training-loss")), Has.Length.EqualTo(3));
    }

    [Test]
    public async Task AChartIsDrawnAnewForAnotherWidth()
    {
        await using BrowserPage page = await Open(Report);
        double wide = await page.Evaluate<double>("document.querySelector('#loss svg').viewBox.baseVal.width");
        await page.Resize(400, 800);
        double narrow = await page.Evaluate<double>("document.querySelector('#loss svg').viewBox.baseVal.width");
        Assert.That(narrow, Is.InRange(300, 400).And.LessThan(wide), "text keeps its size");
        Assert.That(
            await page.Evaluate<string>("getComputedStyle(document.querySelector('#loss svg text')).fontSize"),
            Is.EqualTo("13px")
        );
    }

    [Test]
    public async Task AChartsFileStandsAlone()
    {
        await using BrowserPage page = await Open(new Uri(Report).AbsoluteUri + "#svg=loss");
        string text = await page.Evaluate<string>("document.querySelector('#svg').textContent");
        XElement svg = System.Xml.Linq.XDocument.Parse(text).Root!;
        Assert.That(svg.Name.LocalName, Is.EqualTo("svg"));
        Assert.That(
            text,
            Does.Contain("prefers-color-scheme")
                .And.Contain("Loss by step")
                .And.Contain("held-out records")
                .And.Not.Contain("var(")
                .And.Not.Contain("NaN")
        );
        Assert.That(page.Complaints, Is.Empty);
        await using BrowserPage unknown = await Open(new Uri(Report).AbsoluteUri + "#svg=nothing");
        Assert.That(
            await unknown.Evaluate<string>("document.querySelector('#no-such-chart').textContent"),
            Is.EqualTo("loss")
        );
    }

    [Test]
    public async Task WithoutTheScriptThereAreWordsAndFigures()
    {
        string text = Regex.Replace(File.ReadAllText(Report), "<script.*?</script>", "", RegexOptions.Singleline);
        Assert.That(
            text,
            Does.Contain("Loss on held-out records")
                .And.Contain("&lt;script&gt;alert(1)&lt;&amp;")
                .And.Contain("<noscript>")
                .And.Contain("speclora")
        );
        await using BrowserPage page = await Open(Report);
        Assert.That(await page.Evaluate<string>("document.title"), Is.EqualTo("speclora on <script>alert(1)<&"));
    }
}
