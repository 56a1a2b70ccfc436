using PuppeteerSharp;

namespace Spectral.Cli.Tests.Reports;

/// <summary>A fixture whose tests share one browser and one folder.</summary>
[Parallelizable(ParallelScope.Self)]
public abstract class PageFixture
{
    private IBrowser? _browser;

    protected string Folder { get; } = Directory.CreateTempSubdirectory("spectral-pages-").FullName;

    protected string At(string name) => Path.Combine(Folder, name);

    [OneTimeSetUp]
    public async Task StartBrowser()
    {
        if (Chromium.Executable is null)
            Assert.Ignore("no chromium in PATH (Debian: apt-get install chromium)");
        MakePages();
        _browser = await Chromium.Start();
    }

    [OneTimeTearDown]
    public async Task CloseBrowser()
    {
        if (_browser is not null)
            await _browser.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    /// <summary>Runs the commands whose pages are tested.</summary>
    protected abstract void MakePages();

    protected Task<BrowserPage> Open(string file, int width = 1200, int height = 900, bool dark = false) =>
        BrowserPage.Open(_browser!, file, width, height, dark);

    /// <summary>
    /// Checks what holds for every page in every setting: it draws its charts, fits its window, is readable, reports no
    /// error and makes no request.
    /// </summary>
    protected async Task IsSound(string file, int width, bool dark)
    {
        await using BrowserPage page = await Open(file, width, 800, dark);
        string fixture = TestContext.CurrentContext.Test.ClassName!.Split('.')[^1];
        string theme = dark ? "dark" : "light";
        await Save(page, $"{fixture}-{Path.GetFileNameWithoutExtension(file)}-{width}-{theme}.png");
        Assert.That(await page.Evaluate<string[]>(PageProbe.Misplaced), Is.Empty);
        Assert.That(await page.Evaluate<int>(PageProbe.Overflow), Is.LessThanOrEqualTo(0), "wider than the window");
        Assert.That(await page.Evaluate<string[]>(PageProbe.Faint), Is.Empty);
        Assert.That(await page.Evaluate<int>("document.querySelectorAll('.plot').length"), Is.Positive);
        Assert.That(
            await page.Evaluate<int>(
                "[...document.querySelectorAll('.plot')].filter(plot => !plot.querySelector('svg')).length"
            ),
            Is.Zero,
            "charts without a drawing"
        );
        Assert.That(page.Complaints, Is.Empty);
    }

    /// <summary>Saves a picture if SPECTRAL_PICTURES names a folder.</summary>
    private static async Task Save(BrowserPage page, string name)
    {
        if (Environment.GetEnvironmentVariable("SPECTRAL_PICTURES") is { Length: > 0 } folder)
            await File.WriteAllBytesAsync(Path.Combine(folder, name), await page.Picture());
    }
}
