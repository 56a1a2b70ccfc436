using System.Security.Cryptography;
using System.Text;

namespace Spectral.Cli.Reports;

/// <summary>
/// The script and the style sheet of every page, which the build makes from <c>Reports/web</c>.
/// </summary>
internal static class PageAssets
{
    /// <summary>The script; it does not contain <c>&lt;/script</c>.</summary>
    public static string Script { get; } = Read("report.js");

    public static string Style { get; } = Read("report-style.css");

    /// <summary>
    /// The content security policy of a page: a browser runs this script and no other, whatever text the page contains,
    /// and loads nothing. Inline styles are allowed, as the charts set them.
    /// </summary>
    public static string Policy { get; } =
        "default-src 'none'; script-src "
        + $"'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Script)))}'; style-src "
        + "'unsafe-inline'; base-uri 'none'; form-action 'none'";

    /// <summary>The policy of a page that asks where it came from for further results of a run.</summary>
    public static string LivePolicy { get; } = Policy + "; connect-src 'self'";

    private static string Read(string name)
    {
        using Stream stream = typeof(PageAssets).Assembly.GetManifestResourceStream(name)!;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return reader.ReadToEnd().Trim();
    }
}
