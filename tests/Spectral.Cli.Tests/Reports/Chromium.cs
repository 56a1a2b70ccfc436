using PuppeteerSharp;

namespace Spectral.Cli.Tests.Reports;

/// <summary>The system's Chromium; none is downloaded.</summary>
public static class Chromium
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

    /// <summary>Where the system has one; null where it has none.</summary>
    public static string? Executable { get; } =
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .SelectMany(folder => Names.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);

    /// <summary>Starts it without a window.</summary>
    public static Task<IBrowser> Start() =>
        Puppeteer.LaunchAsync(
            new LaunchOptions
            {
                ExecutablePath = Executable!,
                // Chromium's sandbox refuses root, which containers run as; the pages are ours.
                Args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
                Timeout = 60_000,
            }
        );
}
