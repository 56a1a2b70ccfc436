using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Spectral.Cli.Tests.Support;

namespace Spectral.Cli.Tests.Reports;

/// <summary>Tests the page that shows a run as it trains, in a browser and by requests of its own.</summary>
public sealed class LivePageTests : PageFixture
{
    private const int Patience = 60;

    private string[] _run = [];

    protected override void MakePages()
    {
        string model = TinyModel.Create(At("<script>alert(1)<&"));
        string data = TinyModel.WriteData(At("data.jsonl"), 12);
        _run =
        [
            "finetune",
            "--model",
            model,
            "--data",
            data,
            "--eval",
            data,
            "--eval-every",
            "50",
            "--steps",
            "100000",
            "--batch",
            "2",
            "--log-every",
            "100000",
            "--device",
            "cpu",
            "--serve",
        ];
    }

    [Test]
    public async Task TheLossComesAsItIsMadeAndTheEndIsTold()
    {
        (Process process, string address) = await Serve("live");
        await using BrowserPage page = await Open(address);
        await Until(async () => await Points(page) > 3, "steps to be drawn");
        int seen = await Points(page);
        string status = await page.Evaluate<string>("document.querySelector('[data-summary]').textContent");
        Assert.That(
            status,
            Does.Match(@"^Step \d+ of 100000: loss \d+\.\d{4}, held-out loss \d+\.\d{4}, .* tokens/s\.")
        );
        await Until(async () => await Points(page) > seen, "further steps to be drawn");
        Assert.That(await page.Evaluate<string[]>(PageProbe.Misplaced), Is.Empty);
        Assert.That(await page.Evaluate<int>(PageProbe.Overflow), Is.LessThanOrEqualTo(0), "wider than the window");
        Assert.That(await page.Evaluate<string[]>(PageProbe.Faint), Is.Empty);
        Assert.That(
            page.Complaints.Where(complaint => complaint != $"request: {address}progress"),
            Is.Empty,
            "it asks for its progress and for nothing else"
        );
        Stop(process);
        await Until(
            async () =>
                (await page.Evaluate<string>("document.querySelector('[data-summary]').textContent")).Contains(
                    "The command has ended"
                ),
            "the end"
        );
    }

    [Test]
    public async Task OnlyItsOwnAddressIsServedAndOnlyToRead()
    {
        (Process process, string address) = await Serve("requests");
        var uri = new Uri(address);
        Assert.That(uri.Host, Is.EqualTo("127.0.0.1"));
        (string own, string path) = ($"127.0.0.1:{uri.Port}", "/progress");
        string answer = await Request($"GET {path} HTTP/1.1\r\nHost: {own}\r\n");
        Assert.That(answer, Does.StartWith("HTTP/1.1 200").And.Contain("\"status\"").And.Contain("\"chart\""));
        Assert.That(answer, Does.Contain("nosniff").And.Contain("no-store").And.Contain("default-src 'none'"));
        Assert.That(answer, Does.Not.Contain("Access-Control"));
        Assert.That(await Request($"GET / HTTP/1.1\r\nHost: {own}\r\n"), Does.StartWith("HTTP/1.1 200"));
        foreach (
            string host in new[]
            {
                "evil.example",
                $"evil.example:{uri.Port}",
                "127.0.0.1",
                "",
                $"127.0.0.1.evil:{uri.Port}",
            }
        )
        {
            string refused = await Request($"GET {path} HTTP/1.1\r\nHost: {host}\r\n");
            Assert.That(refused, Does.Match("^HTTP/1.1 40[034]").And.Not.Contain("\"chart\""), $"host \"{host}\"");
        }

        foreach (string method in new[] { "POST", "PUT", "DELETE", "OPTIONS" })
        {
            Assert.That(
                await Request($"{method} {path} HTTP/1.1\r\nHost: {own}\r\nContent-Length: 0\r\n"),
                Does.StartWith("HTTP/1.1 405").And.Not.Contain("\"chart\""),
                method
            );
        }

        Assert.That(
            await Request($"GET /../../etc/passwd HTTP/1.1\r\nHost: {own}\r\n"),
            Does.Match("^HTTP/1.1 40[04]").And.Not.Contain("root:")
        );
        Assert.That(
            await Request($"HEAD / HTTP/1.1\r\nHost: {own}\r\n"),
            Does.StartWith("HTTP/1.1 200").And.Not.Contain("<html")
        );
        foreach (
            IPAddress other in (await Dns.GetHostAddressesAsync(Dns.GetHostName())).Where(found =>
                found.AddressFamily == AddressFamily.InterNetwork && !IPAddress.IsLoopback(found)
            )
        )
        {
            using var outside = new TcpClient();
            Assert.That(
                async () => await outside.ConnectAsync(other, uri.Port),
                Throws.InstanceOf<SocketException>(),
                "other addresses of the machine"
            );
        }

        Stop(process);

        async Task<string> Request(string head)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, uri.Port);
            await using NetworkStream stream = client.GetStream();
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head + "Connection: close\r\n\r\n"));
            using var reader = new StreamReader(stream, Encoding.UTF8);
            return await reader.ReadToEndAsync();
        }
    }

    [Test]
    public void APortThatIsTakenIsRefused()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        int port = ((IPEndPoint)taken.LocalEndpoint).Port;
        CommandLine
            .Run([.. _run, $"{port}", "--out", At("taken")])
            .Refused(2, $"--serve {port}", "expected a port that is free");
        Assert.That(Directory.Exists(At("taken")), Is.False);
    }

    private async Task<(Process Process, string Address)> Serve(string name)
    {
        Process process = CommandLine.Start([.. _run, "--out", At(name)]);
        var lines = new StringBuilder();
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            lines.AppendLine(line);
            if (Regex.Match(line, @"http://127\.0\.0\.1:\d+/") is { Success: true } address)
            {
                _ = process.StandardOutput.ReadToEndAsync();
                return (process, address.Value);
            }
        }

        Assert.Fail($"no address: {lines}{await process.StandardError.ReadToEndAsync()}");
        throw new UnreachableException();
    }

    private static void Stop(Process process)
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }

    private static async Task Until(Func<Task<bool>> holds, string what)
    {
        for (var waited = Stopwatch.StartNew(); !await holds(); await Task.Delay(100))
            Assert.That(waited.Elapsed.TotalSeconds, Is.LessThan(Patience), $"waited for {what}");
    }

    private static async Task<int> Points(BrowserPage page)
    {
        int[] lines = await page.Evaluate<int[]>(PageProbe.Lines("loss"));
        return lines.Length == 0 ? 0 : lines[0];
    }
}
