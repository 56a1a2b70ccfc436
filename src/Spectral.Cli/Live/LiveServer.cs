using System.Net;
using System.Net.Sockets;
using Spectral.Cli.Reports;
using Spectral.Training.IO;

namespace Spectral.Cli.Live;

/// <summary>
/// Serves a run's page and its progress at 127.0.0.1, for reading only. A request has to name this address as its host,
/// so that a page of another site cannot reach it through a name of its own.
/// </summary>
/// <remarks>
/// It is the listener of the base class library: ASP.NET would have to be installed for every command to start.
/// </remarks>
internal sealed class LiveServer : IDisposable
{
    private const int Attempts = 16;

    private readonly LiveRun _run;
    private readonly HttpListener _listener;
    private readonly string[] _hosts;

    /// <summary>Starts to serve the page.</summary>
    /// <param name="run">The run.</param>
    /// <param name="port">The port; 0 for any free one.</param>
    /// <exception cref="InputException">The port is not free.</exception>
    public LiveServer(LiveRun run, int port)
    {
        _run = run;
        (_listener, int open) = Listen(port);
        _hosts = [$"127.0.0.1:{open}", $"localhost:{open}"];
        Address = $"http://{_hosts[0]}/";
        _ = Task.Run(Serve);
    }

    /// <summary>The address of the page.</summary>
    public string Address { get; }

    /// <summary>Stops to serve the page.</summary>
    public void Dispose() => _listener.Close();

    private static (HttpListener Listener, int Port) Listen(int port)
    {
        for (int attempt = 1; ; attempt++)
        {
            int chosen = port > 0 ? port : FreePort();
            var listener = new HttpListener();
            // Windows lets users without privileges listen under this name of the address only.
            listener.Prefixes.Add($"http://{(OperatingSystem.IsWindows() ? "localhost" : "127.0.0.1")}:{chosen}/");
            try
            {
                listener.Start();
                return (listener, chosen);
            }
            catch (HttpListenerException error)
            {
                listener.Close();
                // Another process may take a free port first.
                if (port > 0 || attempt == Attempts)
                    throw new InputException($"--serve {chosen}: {error.Message}; expected a port that is free", error);
            }
        }
    }

    private static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private async Task Serve()
    {
        while (_listener.IsListening)
        {
            try
            {
                Answer(await _listener.GetContextAsync());
            }
            catch (Exception error) when (error is HttpListenerException or ObjectDisposedException or IOException)
            {
                // The server was closed, or a browser went away before its answer.
            }
        }
    }

    private void Answer(HttpListenerContext context)
    {
        HttpListenerResponse response = context.Response;
        response.Headers["Cache-Control"] = "no-store";
        response.Headers["X-Content-Type-Options"] = "nosniff";
        response.Headers["Cross-Origin-Resource-Policy"] = "same-origin";
        response.Headers["Content-Security-Policy"] = PageAssets.LivePolicy + "; frame-ancestors 'none'";
        (int status, string type, byte[] body) = Content(context.Request);
        response.StatusCode = status;
        response.ContentType = type;
        response.ContentLength64 = body.Length;
        if (context.Request.HttpMethod == "HEAD")
            response.Close();
        else
            response.Close(body, willBlock: false);
    }

    private (int Status, string Type, byte[] Body) Content(HttpListenerRequest request)
    {
        if (!_hosts.Contains(request.UserHostName))
            return (403, "text/plain", "the host is not this address\n"u8.ToArray());
        if (request.HttpMethod is not ("GET" or "HEAD"))
            return (405, "text/plain", "there is only something to read\n"u8.ToArray());
        return request.Url?.AbsolutePath switch
        {
            "/" => (200, "text/html; charset=utf-8", _run.Page()),
            "/progress" => (200, "application/json", _run.Progress()),
            _ => (404, "text/plain", "there is no such page\n"u8.ToArray()),
        };
    }
}
