using PuppeteerSharp;

namespace Spectral.Cli.Tests.Reports;

/// <summary>Finds and starts the system's Chromium; none is downloaded.</summary>
public static class Chromium
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

    /// <summary>The path of Chromium; null if the system has none.</summary>
    public static string? Executable { get; } =
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .SelectMany(folder => Names.Select(name => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);

    /// <summary>Starts Chromium without a window.</summary>
    public static Task<IBrowser> Start() =>
        Puppeteer.LaunchAsync(
            new LaunchOptions
            {
                ExecutablePath = Executable!,
                // Chromium's sandbox does not run as root, the user in containers. The pages are trusted.
                Args = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
                Timeout = 60_000,
            }
        );
}
