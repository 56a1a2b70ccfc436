using System.Security.Cryptography;
using System.Text;

namespace Spectral.Cli.Reports;

/// <summary>
/// The script and the style that every page carries, made of <c>Reports/web</c> when the command is built.
/// </summary>
internal static class PageAssets
{
    /// <summary>The script; it holds no <c>&lt;/script</c>.</summary>
    public static string Script { get; } = Read("report.js");

    public static string Style { get; } = Read("report-style.css");

    /// <summary>
    /// What a browser lets a page do: run this script and no other, whatever text the page holds, and fetch nothing.
    /// Styles are free:
    /// drawings set theirs.
    /// </summary>
    public static string Policy { get; } =
        "default-src 'none'; script-src "
        + $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Script)))}'; style-src "
        + "'unsafe-inline'; base-uri 'none'; form-action 'none'";

    private static string Read(string name)
    {
        using Stream stream = typeof(PageAssets).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd().Trim();
    }
}
