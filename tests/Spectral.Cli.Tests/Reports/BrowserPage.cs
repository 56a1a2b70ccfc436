using System.Text.Json;
using PuppeteerSharp;

namespace Spectral.Cli.Tests.Reports;

/// <summary>A page in a browser, with its errors and its requests.</summary>
public sealed class BrowserPage : IAsyncDisposable
{
    private readonly IPage _page;
    private readonly List<string> _complaints = [];

    private BrowserPage(IPage page)
    {
        _page = page;
        page.PageError += (_, error) => Complain($"exception: {error.Message}");
        page.Dialog += async (_, opened) =>
        {
            Complain($"dialog: {opened.Dialog.Message}");
            await opened.Dialog.Dismiss();
        };
        page.Console += (_, said) =>
        {
            if (said.Message.Type is ConsoleType.Error or ConsoleType.Warning or ConsoleType.Assert)
                Complain($"console: {said.Message.Text}");
        };
        page.Request += (_, asked) =>
        {
            if (asked.Request.ResourceType != ResourceType.Document)
                Complain($"request: {asked.Request.Url}");
        };
    }

    /// <summary>
    /// Console errors and warnings, exceptions, dialogs, violations of the page's policy, and requests for anything but
    /// the page itself.
    /// </summary>
    public IReadOnlyList<string> Complaints
    {
        get
        {
            lock (_complaints)
                return [.. _complaints];
        }
    }

    /// <summary>Opens a file, or an address, as a page of the given size.</summary>
    public static async Task<BrowserPage> Open(IBrowser browser, string file, int width, int height, bool dark)
    {
        var page = new BrowserPage(await browser.NewPageAsync());
        await page._page.SetViewportAsync(new ViewPortOptions { Width = width, Height = height });
        await page._page.EmulateMediaFeaturesAsync([
            new MediaFeatureValue { MediaFeature = MediaFeature.PrefersColorScheme, Value = dark ? "dark" : "light" },
        ]);
        await page._page.GoToAsync(file.Contains("://", StringComparison.Ordinal) ? file : new Uri(file).AbsoluteUri);
        await page.Settle();
        return page;
    }

    /// <summary>Resizes the page, and its charts with it.</summary>
    public async Task Resize(int width, int height)
    {
        await _page.SetViewportAsync(new ViewPortOptions { Width = width, Height = height });
        await Settle();
    }

    /// <summary>Returns the value of an expression; if it is a promise, the value of that.</summary>
    public Task<T> Evaluate<T>(string expression) => _page.EvaluateExpressionAsync<T>(expression);

    /// <summary>Presses and releases keys, by name: "ArrowRight", "Enter", "Tab".</summary>
    public async Task Press(params string[] keys)
    {
        foreach (string key in keys)
            await _page.Keyboard.PressAsync(key);
        await Settle();
    }

    /// <summary>Clicks the middle of an element as a mouse does, so that an element above it gets the click.</summary>
    public async Task Click(string selector)
    {
        decimal[] at = await Evaluate<decimal[]>(
            $$"""
            (() => {
              const element = document.querySelector({{JsonSerializer.Serialize(selector)}});
              element.scrollIntoView({ block: "center" });
              const box = element.getBoundingClientRect();
              return [box.x + box.width / 2, box.y + box.height / 2];
            })()
            """
        );
        await _page.Mouse.ClickAsync(at[0], at[1]);
        await Settle();
    }

    /// <summary>Moves the mouse to a place in the window.</summary>
    public async Task Point(double x, double y)
    {
        await _page.Mouse.MoveAsync((decimal)x, (decimal)y);
        await Settle();
    }

    /// <summary>Returns a PNG of the whole page, for people to look at.</summary>
    public Task<byte[]> Picture() => _page.ScreenshotDataAsync(new ScreenshotOptions { FullPage = true });

    public async ValueTask DisposeAsync() => await _page.CloseAsync();

    private void Complain(string complaint)
    {
        lock (_complaints)
            _complaints.Add(complaint);
    }

    /// <summary>Waits two frames: a new size is observed in one and drawn before the next.</summary>
    private Task Settle() =>
        Evaluate<bool>("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");
}
