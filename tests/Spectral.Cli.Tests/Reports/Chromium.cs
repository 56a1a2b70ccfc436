using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Cli.Tests.Reports;

/// <summary>
/// A headless Chromium of the system's, spoken to in its own DevTools protocol. The packages that do the same either
/// bring browsers of their own
/// by the hundred megabytes or need a driver beside the browser.
/// </summary>
public sealed class Chromium : IAsyncDisposable
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly DirectoryInfo _profile;
    private readonly ClientWebSocket _socket = new();
    private readonly SemaphoreSlim _sending = new(1);
    private readonly ConcurrentDictionary<int, TaskCompletionSource<JsonNode>> _pending = new();
    private readonly ConcurrentDictionary<string, BrowserPage> _pages = new();
    private int _lastId;

    private Chromium(Process process, DirectoryInfo profile) => (_process, _profile) = (process, profile);

    /// <summary>Where the system has one; null where it has none.</summary>
    public static string? Executable { get; } =
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .SelectMany(folder => Names.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);

    public static async Task<Chromium> Start()
    {
        DirectoryInfo profile = Directory.CreateTempSubdirectory("spectral-chromium-");
        var start = new ProcessStartInfo(Executable!) { RedirectStandardError = true, RedirectStandardOutput = true };
        // Chromium's sandbox refuses root, which containers run as; the pages are ours.
        foreach (
            string argument in new[]
            {
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-extensions",
                "--remote-debugging-port=0",
                $"--user-data-dir={profile.FullName}",
                "about:blank",
            }
        )
        {
            start.ArgumentList.Add(argument);
        }

        var browser = new Chromium(Process.Start(start)!, profile);
        const string Announcement = "DevTools listening on ";
        using var patience = new CancellationTokenSource(Patience);
        string? line;
        do line = await browser._process.StandardError.ReadLineAsync(patience.Token);
        while (line is not null && !line.StartsWith(Announcement, StringComparison.Ordinal));
        Assert.That(line, Is.Not.Null, "Chromium ended before it listened");
        _ = browser._process.StandardError.ReadToEndAsync(); // a full pipe would stop it
        _ = browser._process.StandardOutput.ReadToEndAsync();
        await browser._socket.ConnectAsync(new Uri(line![Announcement.Length..]), patience.Token);
        _ = browser.Listen();
        return browser;
    }

    /// <summary>Opens a file as a page of the given size.</summary>
    public async Task<BrowserPage> Open(string file, int width = 1200, int height = 900, bool dark = false)
    {
        string target = (string)(await Call("Target.createTarget", new() { ["url"] = "about:blank" }))["targetId"]!;
        string session = (string)
            (await Call("Target.attachToTarget", new() { ["targetId"] = target, ["flatten"] = true }))["sessionId"]!;
        var page = new BrowserPage(this, target, session);
        _pages[session] = page;
        await page.Load(file, width, height, dark);
        return page;
    }

    internal async Task<JsonNode> Call(string method, JsonObject? parameters = null, string? session = null)
    {
        int id = Interlocked.Increment(ref _lastId);
        var message = new JsonObject
        {
            ["id"] = id,
            ["method"] = method,
            ["params"] = parameters ?? [],
        };
        if (session is not null)
            message["sessionId"] = session;
        var reply = new TaskCompletionSource<JsonNode>(TaskCreationOptions.RunContinuationsAsynchronously);
        _pending[id] = reply;
        await _sending.WaitAsync();
        try
        {
            await _socket.SendAsync(
                JsonSerializer.SerializeToUtf8Bytes(message),
                WebSocketMessageType.Text,
                endOfMessage: true,
                CancellationToken.None
            );
        }
        finally
        {
            _sending.Release();
        }
        JsonNode result = await reply.Task.WaitAsync(Patience);
        Assert.That(result["error"], Is.Null, $"{method}: {result["error"]}");
        return result["result"]!;
    }

    internal async Task Close(string target, string session)
    {
        _pages.TryRemove(session, out _);
        await Call("Target.closeTarget", new() { ["targetId"] = target });
    }

    private async Task Listen()
    {
        byte[] buffer = new byte[1 << 16];
        using var message = new MemoryStream();
        try
        {
            while (_socket.State == WebSocketState.Open)
            {
                ValueWebSocketReceiveResult part = await _socket.ReceiveAsync(
                    buffer.AsMemory(),
                    CancellationToken.None
                );
                message.Write(buffer, 0, part.Count);
                if (!part.EndOfMessage)
                    continue;
                JsonNode json = JsonNode.Parse(message.ToArray())!;
                message.SetLength(0);
                if (json["id"] is { } id)
                {
                    if (_pending.TryRemove((int)id, out TaskCompletionSource<JsonNode>? reply))
                        reply.SetResult(json);
                }
                else if (
                    json["sessionId"] is { } session
                    && _pages.TryGetValue((string)session!, out BrowserPage? page)
                )
                {
                    page.Note((string)json["method"]!, json["params"]!);
                }
            }
        }
        catch (WebSocketException)
        {
            // The browser was closed.
        }
        foreach (TaskCompletionSource<JsonNode> reply in _pending.Values)
            reply.TrySetException(new IOException("Chromium is gone"));
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        _socket.Dispose();
        try
        {
            _profile.Delete(recursive: true);
        }
        catch (IOException) { } // a helper process may still be writing its last file
    }
}
