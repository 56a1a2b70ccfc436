using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Cli.Tests.Reports;

/// <summary>A page in a browser, and everything it complained of or asked the network for.</summary>
public sealed class BrowserPage(Chromium browser, string target, string session) : IAsyncDisposable
{
    private readonly List<string> _complaints = [];
    private readonly TaskCompletionSource _loaded = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// Console errors and warnings, exceptions, dialogs, what the page's policy forbade, and requests beyond the page
    /// itself.
    /// </summary>
    public IReadOnlyList<string> Complaints
    {
        get
        {
            lock (_complaints)
                return [.. _complaints];
        }
    }

    internal async Task Load(string file, int width, int height, bool dark)
    {
        foreach (string domain in new[] { "Page", "Runtime", "Log", "Network" })
            await Call($"{domain}.enable");
        await Resize(width, height);
        await Call(
            "Emulation.setEmulatedMedia",
            new()
            {
                ["features"] = new JsonArray(
                    new JsonObject { ["name"] = "prefers-color-scheme", ["value"] = dark ? "dark" : "light" }
                ),
            }
        );
        await Call(
            "Page.navigate",
            new() { ["url"] = file.Contains("://", StringComparison.Ordinal) ? file : new Uri(file).AbsoluteUri }
        );
        await _loaded.Task.WaitAsync(TimeSpan.FromSeconds(30));
        await Settle();
    }

    /// <summary>Gives the page another size; charts follow.</summary>
    public async Task Resize(int width, int height)
    {
        await Call(
            "Emulation.setDeviceMetricsOverride",
            new()
            {
                ["width"] = width,
                ["height"] = height,
                ["deviceScaleFactor"] = 1,
                ["mobile"] = false,
            }
        );
        await Settle();
    }

    /// <summary>The value of an expression, or of what it promises.</summary>
    public async Task<T> Evaluate<T>(string expression)
    {
        JsonNode reply = await Call(
            "Runtime.evaluate",
            new()
            {
                ["expression"] = expression,
                ["awaitPromise"] = true,
                ["returnByValue"] = true,
            }
        );
        Assert.That(reply["exceptionDetails"], Is.Null, $"{expression}: {reply["exceptionDetails"]}");
        return reply["result"]!["value"].Deserialize<T>()!;
    }

    /// <summary>Presses and releases keys, by name: "ArrowRight", "Enter", "Tab".</summary>
    public async Task Press(params string[] keys)
    {
        foreach (string key in keys)
        {
            int code = key switch
            {
                "Enter" => 13,
                "Tab" => 9,
                "Escape" => 27,
                "End" => 35,
                "Home" => 36,
                "ArrowLeft" => 37,
                "ArrowUp" => 38,
                "ArrowRight" => 39,
                "ArrowDown" => 40,
                " " => 32,
                _ => 0,
            };
            var press = new JsonObject
            {
                ["type"] = "keyDown",
                ["key"] = key,
                ["code"] = key == " " ? "Space" : key,
                ["windowsVirtualKeyCode"] = code,
            };
            if (key is "Enter")
                press["text"] = "\r";
            if (key is " ")
                press["text"] = " ";
            await Call("Input.dispatchKeyEvent", press);
            await Call(
                "Input.dispatchKeyEvent",
                new()
                {
                    ["type"] = "keyUp",
                    ["key"] = key,
                    ["windowsVirtualKeyCode"] = code,
                }
            );
        }
        await Settle();
    }

    /// <summary>Clicks the middle of an element, as a mouse does; what covers it gets the click.</summary>
    public async Task Click(string selector)
    {
        double[] at = await Evaluate<double[]>(
            $"(() => {{ const e = document.querySelector({JsonSerializer.Serialize(selector)}); "
                + $"e.scrollIntoView({{block: 'center'}}); const b = e.getBoundingClientRect(); return [b.x + "
                + $"b.width / 2, b.y + b.height / 2]; }})()"
        );
        foreach (string type in new[] { "mouseMoved", "mousePressed", "mouseReleased" })
        {
            await Call(
                "Input.dispatchMouseEvent",
                new()
                {
                    ["type"] = type,
                    ["x"] = at[0],
                    ["y"] = at[1],
                    ["button"] = type == "mouseMoved" ? "none" : "left",
                    ["clickCount"] = 1,
                }
            );
        }

        await Settle();
    }

    public async Task Point(double x, double y)
    {
        await Call(
            "Input.dispatchMouseEvent",
            new()
            {
                ["type"] = "mouseMoved",
                ["x"] = x,
                ["y"] = y,
            }
        );
        await Settle();
    }

    /// <summary>A picture of the whole page, for people to look at.</summary>
    public async Task<byte[]> Picture() =>
        Convert.FromBase64String(
            (string)
                (await Call("Page.captureScreenshot", new() { ["format"] = "png", ["captureBeyondViewport"] = true }))[
                    "data"
                ]!
        );

    public async ValueTask DisposeAsync() => await browser.Close(target, session);

    internal void Note(string method, JsonNode parameters)
    {
        string? complaint = method switch
        {
            "Page.loadEventFired" => Loaded(),
            "Page.javascriptDialogOpening" => $"dialog: {parameters["message"]}",
            "Runtime.exceptionThrown" => "exception: "
                + $"{parameters["exceptionDetails"]!["exception"]?["description"] ?? parameters["exceptionDetails"]!["text"]}",
            "Runtime.consoleAPICalled" when (string)parameters["type"]! is "error" or "warning" or "assert" =>
                $"console: {parameters["args"]}",
            "Log.entryAdded" when (string)parameters["entry"]!["level"]! is "error" or "warning" =>
                $"log: {parameters["entry"]!["text"]}",
            "Network.requestWillBeSent" when (string)parameters["type"]! != "Document" =>
                $"request: {parameters["request"]!["url"]}",
            _ => null,
        };
        if (complaint is not null)
        {
            lock (_complaints)
                _complaints.Add(complaint);
        }
    }

    private string? Loaded()
    {
        _loaded.TrySetResult();
        return null;
    }

    /// <summary>Two frames: sizes are observed in one and drawn before the next.</summary>
    private Task Settle() =>
        Evaluate<bool>("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))");

    private Task<JsonNode> Call(string method, JsonObject? parameters = null) =>
        browser.Call(method, parameters, session);
}
