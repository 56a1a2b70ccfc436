using System.Globalization;
using System.Text.Json.Nodes;
using Spectral.Cli.Spectra;
using Spectral.Cli.Tests.Support;
using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Models;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Tests.Reports;

/// <summary>
/// Tests the page of `analyze` in a browser: for a model that changed everywhere, for an adapter on two modules, for a
/// model compared with itself, and for hostile names.
/// </summary>
public sealed class SpectraPageTests : PageFixture
{
    private const string Hostile = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\u2028\"'&";

    private JsonArray _matrices = [];

    private string Changed => At("changed.html");

    /// <summary>The matrix that the page shows first.</summary>
    private JsonNode MostChanged => _matrices.MaxBy(matrix => (double)matrix!["norms"]!["relative"]!)!;

    protected override void MakePages()
    {
        string model = TinyModel.Create(At("base"));
        string tuned = TinyModel.Create(At("tuned"), seed: 2);
        string data = TinyModel.WriteData(At("data.jsonl"), 12);
        CommandLine
            .Run(
                "finetune",
                "--model",
                model,
                "--data",
                data,
                "--out",
                At("adapter"),
                "--steps",
                "3",
                "--batch",
                "2",
                "--lr",
                "0.05",
                "--target",
                "q_proj,down_proj",
                "--device",
                "cpu"
            )
            .Succeeded();
        JsonObject changed = Analyze("changed", model, "--tuned", tuned);
        _matrices = changed["matrices"]!.AsArray();
        Analyze("adapted", model, "--adapter", At("adapter"));
        Analyze("same", model, "--tuned", model, "--draws", "0");
        Analyze(
            "traced",
            model,
            "--adapter",
            RunOfRankOne(model, data),
            "--trace",
            data,
            "--forgetting",
            data,
            "--forgetting-task",
            data,
            "--mitigate",
            At("mitigated"),
            "--principal",
            At("principal")
        );
        File.WriteAllText(At("hostile.html"), SpectraPage.Render(HostileReport(model, tuned)));
    }

    private string RunOfRankOne(string model, string data)
    {
        string run = At("rank-one");
        string[] settings = ["--adapter", "lora", "--rank", "1", "--target", "q_proj,down_proj", "--lr", "0.05"];
        string[] steps = ["--steps", "8", "--save-every", "2", "--keep-checkpoints", "--batch", "2"];
        CommandLine
            .Run(["finetune", "--model", model, "--data", data, "--out", run, "--device", "cpu", .. settings, .. steps])
            .Succeeded();
        return run;
    }

    private static SpectraReport HostileReport(string model, string tuned)
    {
        var options = new SpectraOptions { Draws = 3 };
        using var before = ModelFolder.Open(model);
        using var after = ModelFolder.Open(tuned);
        using var device = Device.Cpu();
        using var analysis = new SpectraAnalysis(before, after, null, AdapterOptions.AllProjections, options);
        ModelSpectra spectra = analysis.Run(device, null, (_, _) => { }, CancellationToken.None);
        MatrixSpectra first = spectra.Matrices[0];
        MatrixSpectra named = first with
        {
            Name = Hostile,
            Module = Hostile,
            Verdict = first.Verdict with { Lines = [Hostile, .. first.Verdict.Lines.Skip(1)] },
        };
        return new SpectraReport(
            Hostile,
            tuned,
            null,
            device.ToString(),
            options,
            spectra with
            {
                Matrices = [named, .. spectra.Matrices.Skip(1)],
            }
        );
    }

    private JsonObject Analyze(string name, string model, params string[] more)
    {
        string[] draws = more.Contains("--draws") ? [] : ["--draws", "3"];
        Outcome outcome = CommandLine
            .Run([
                "analyze",
                "--base",
                model,
                "--out",
                At(name + ".html"),
                "--device",
                "cpu",
                "--json",
                .. draws,
                .. more,
            ])
            .Succeeded();
        return JsonNode.Parse(outcome.Output)!.AsObject();
    }

    [Test]
    public async Task IsSoundInLightAndDarkOnADeskAndAPhone(
        [Values("changed", "adapted", "same", "hostile", "traced")] string page,
        [Values(1200, 360)] int width,
        [Values] bool dark
    ) => await IsSound(At(page + ".html"), width, dark);

    [Test]
    public void TheVerdictsNeedNoScript()
    {
        string text = File.ReadAllText(Changed).Split("<script")[0];
        Assert.That(
            text,
            Does.Contain("Weight spectra: tuned against base")
                .And.Contain("Amplifies the top")
                .And.Contain("matrices")
                .And.Contain("stable rank before")
        );
        Assert.That(
            File.ReadAllText(At("same.html")),
            Does.Contain("14 unchanged. ").And.Contain("not measurable, as no matrix changed")
        );
        Assert.That(File.ReadAllText(At("adapted.html")), Does.Contain("of the 4 matrices that changed measurably"));
        Assert.That(File.ReadAllText(Changed), Has.Length.LessThan(600_000));
    }

    [Test]
    public async Task EverySingularValueIsDrawn()
    {
        await using BrowserPage page = await Open(Changed);
        double[] values = Numbers(MostChanged["values"]!["base"]!);
        double[] tuned = Numbers(MostChanged["values"]!["tuned"]!);
        Assert.That(
            await page.Evaluate<int[]>(PageProbe.Lines("singular-values")),
            Is.EqualTo(new[] { values.Length, tuned.Length })
        );
        Assert.That(
            await page.Evaluate<int[]>(PageProbe.Lines("alignment")),
            Is.EqualTo(new[] { values.Length, values.Length, values.Length, values.Length })
        );
        await page.Click("#singular-values summary");
        double[] listed =
        [
            .. (await page.Evaluate<string[]>(PageProbe.Column("#singular-values", 2))).Select(text =>
                double.Parse(text, CultureInfo.InvariantCulture)
            ),
        ];
        Assert.That(listed, Is.EqualTo(values.Concat(tuned)).Within(0.06).Percent, "four digits are shown");
    }

    [Test]
    public async Task TheBandOfRandomChangesIsThatOfTheNullModel()
    {
        await using BrowserPage page = await Open(Changed);
        await page.Click("#growth summary");
        string[] least = await page.Evaluate<string[]>(PageProbe.Column("#growth", 3));
        JsonNode random = MostChanged["null"]!["comparisons"]!
            .AsArray()
            .First(entry => (string?)entry!["quantity"] == "relative")!["gaussian"]!;
        Assert.That(
            double.Parse(least[0], CultureInfo.InvariantCulture),
            Is.EqualTo(100 * ((double)random["mean"]! - 2 * (double)random["standard_deviation"]!)).Within(0.3).Percent
        );
    }

    [Test]
    public async Task TheHeatMapHasACellForEachMatrixAndQuantity()
    {
        await using BrowserPage page = await Open(Changed);
        const string Cells = "document.querySelectorAll('#heat-map .h0 rect, #heat-map .h1 rect').length";
        Assert.That(await page.Evaluate<int>(Cells), Is.EqualTo(_matrices.Count));
        await page.Evaluate<bool>("document.querySelector('#heat-map select').focus(), true");
        await page.Press("ArrowDown");
        Assert.That(
            await page.Evaluate<string>("document.querySelector('#heat-map h3').textContent"),
            Does.Contain("amplification")
        );
        Assert.That(await page.Evaluate<int>(Cells), Is.EqualTo(_matrices.Count));
        await page.Evaluate<bool>("document.querySelector('#heat-map .plot').focus(), true");
        await page.Press("ArrowRight", "ArrowRight", "ArrowDown"); // the first press shows where one is
        string aloud = await page.Evaluate<string>(PageProbe.Aloud("heat-map"));
        JsonNode key = _matrices.First(matrix => (string?)matrix!["module"] == "k_proj" && (int)matrix["layer"]! == 1)!;
        Assert.That(aloud, Does.StartWith("layer 1, k_proj: amplification of the top "));
        Assert.That(
            double.Parse(aloud.Split(' ')[^1], CultureInfo.InvariantCulture),
            Is.EqualTo((double)key["verdict"]!["amplification_z"]!).Within(0.2).Percent
        );
    }

    [Test]
    public async Task TheTableSortsByNumbersAndIsFiltered()
    {
        await using BrowserPage page = await Open(Changed);
        const int Relative = 4;
        string head = $"#matrices th:nth-child({Relative + 1})";
        double[] expected = [.. _matrices.Select(matrix => (double)matrix!["norms"]!["relative"]!).Order()];
        await page.Click($"{head} button");
        Assert.That(
            Parsed(await page.Evaluate<string[]>(PageProbe.Column("#matrices", Relative))),
            Is.EqualTo(expected).Within(0.1).Percent
        );
        await page.Press(" ");
        Assert.That(
            Parsed(await page.Evaluate<string[]>(PageProbe.Column("#matrices", Relative))),
            Is.EqualTo(expected.Reverse()).Within(0.1).Percent
        );
        Assert.That(
            await page.Evaluate<string>($"document.querySelector('{head}').ariaSort"),
            Is.EqualTo("descending")
        );
        const string Shown =
            "[...document.querySelectorAll('#matrices tbody tr')].filter(row => "
            + "row.checkVisibility()).map(row => row.cells[1].textContent)";
        await page.Evaluate<bool>(
            "(() => { const s = document.querySelector('section select'); s.value = 'up_proj'; return "
                + "s.dispatchEvent(new Event('change')); })()"
        );
        Assert.That(await page.Evaluate<string[]>(Shown), Is.EqualTo(new[] { "up_proj", "up_proj" }));
        await page.Evaluate<bool>(
            "(() => { const f = document.querySelector('section input'); f.value = 'Layers.1'; return "
                + "f.dispatchEvent(new Event('input')); })()"
        );
        Assert.That(await page.Evaluate<string[]>(Shown), Has.Length.EqualTo(1));
    }

    [Test]
    public async Task AMatrixIsChosenInTheTable()
    {
        await using BrowserPage page = await Open(Changed);
        string before = await page.Evaluate<string>(
            "document.querySelector('#growth path.curve, #growth .curve path').getAttribute('d')"
        );
        await page.Click("#matrices tbody tr:nth-child(3) button");
        Assert.That(
            await page.Evaluate<string>("document.querySelector('#matrix select').value"),
            Is.EqualTo("layers.0.self_attn.v_proj")
        );
        Assert.That(
            await page.Evaluate<string>(
                "document.querySelector('#growth path.curve, #growth .curve path').getAttribute('d')"
            ),
            Is.Not.EqualTo(before)
        );
        Assert.That(
            await page.Evaluate<string[]>(
                "[...document.querySelectorAll('#matrix ~ ul li')].map(line => line.textContent)"
            ),
            Is.EqualTo(_matrices[2]!["verdict"]!["lines"]!.AsArray().Select(line => (string)line!))
        );
    }

    [Test]
    public async Task TheSpectraAreDrawnBesideTheLawOfIndependentEntries()
    {
        await using BrowserPage page = await Open(Changed);
        int positions = Numbers(MostChanged["values"]!["base"]!).Length;
        Assert.That(
            await page.Evaluate<int[]>(PageProbe.Lines("marchenko-pastur")),
            Is.EqualTo(new[] { positions, positions, positions, positions })
        );
        string[] beyond = await page.Evaluate<string[]>(
            PageProbe.Column("[aria-label=\"Independence of the entries\"]", 5)
        );
        JsonNode independence = MostChanged["independence"]!;
        Assert.That(
            Parsed(beyond),
            Is.EqualTo(
                new[] { "base", "tuned", "change" }.Select(state =>
                    (double)(int)independence[state]!["spectrum"]!["beyond"]!
                )
            )
        );
    }

    [Test]
    public async Task TokensAreColouredByTheScalarOfTheChosenModule()
    {
        await using BrowserPage page = await Open(At("traced.html"));
        const string Strengths =
            "[...document.querySelectorAll('#trace .tokens span')].map(token => token.className + "
            + "token.style.getPropertyValue('--strength'))";
        string[] first = await page.Evaluate<string[]>(Strengths);
        Assert.That(first, Has.Length.GreaterThan(20).And.Some.Matches("(5[0-9]|60)%$"));
        await page.Evaluate<bool>(
            "(() => { const s = document.querySelector('#trace select'); s.selectedIndex = 1; return "
                + "s.dispatchEvent(new Event('change')); })()"
        );
        Assert.That(await page.Evaluate<string[]>(Strengths), Has.Length.EqualTo(first.Length).And.Not.EqualTo(first));
        Assert.That(
            await page.Evaluate<int>(
                "document.querySelectorAll('#forgetting-steps svg, #forgetting-update svg').length"
            ),
            Is.EqualTo(2)
        );
    }

    [Test]
    public async Task AButtonSavesAChart()
    {
        await using BrowserPage page = await Open(Changed);
        await page.Evaluate<bool>(
            "(() => { const make = URL.createObjectURL; URL.createObjectURL = blob => { window.saved = "
                + "blob.text(); return make(blob); }; return true; })()"
        );
        await page.Click("#heat-map .tools button");
        string svg = await page.Evaluate<string>("window.saved");
        Assert.That(
            System
                .Xml.Linq.XDocument.Parse(svg)
                .Descendants()
                .Count(element => element.Name.LocalName == "rect" && element.Attribute("rx") is not null),
            Is.EqualTo(2 * _matrices.Count),
            "a cell and its frame each"
        );
        Assert.That(page.Complaints, Is.Empty);
    }

    [Test]
    public async Task AnAddressSaysWhatIsDrawnForAFile()
    {
        string address = new Uri(Changed).AbsoluteUri;
        await using BrowserPage map = await Open(address + "#svg=heat-map&quantity=2");
        Assert.That(
            await map.Evaluate<string>("document.querySelector('#svg').textContent"),
            Does.StartWith("<svg ").And.Contain("amplification of the top ")
        );
        await using BrowserPage angles = await Open(address + "#svg=angles&matrix=layers.0.mlp.up_proj&side=right");
        Assert.That(
            await angles.Evaluate<string>("document.querySelector('#svg').textContent"),
            Does.Contain("top subspaces, right")
        );
        await using BrowserPage page = await Open(address + "#matrix=layers.0.mlp.up_proj");
        Assert.That(
            await page.Evaluate<string>("document.querySelector('#matrix select').value"),
            Is.EqualTo("layers.0.mlp.up_proj")
        );
    }

    private static double[] Numbers(JsonNode list) => [.. list.AsArray().Select(value => (double)value!)];

    private static double[] Parsed(string[] texts) =>
        [.. texts.Select(text => double.Parse(text, CultureInfo.InvariantCulture))];
}
