using System.Text;
using System.Text.RegularExpressions;
using Spectral.Tests.Support;

namespace Spectral.Training.Tests.Support;

/// <summary>A document of <c>docs</c> that a test compares, or with SPECTRAL_UPDATE_DOCS=1 writes.</summary>
internal static partial class GeneratedDocument
{
    private const string Update = "SPECTRAL_UPDATE_DOCS";
    private const int Width = 120;

    /// <summary>Compares the copy of a document beside the tests with what it should be.</summary>
    public static void Verify(string name, string wanted)
    {
        if (Environment.GetEnvironmentVariable(Update) == "1")
        {
            File.WriteAllText(Path.Combine(Repository.Root, "docs", name), wanted);
            return;
        }
        Assert.That(
            File.ReadAllText(Path.Combine(AppContext.BaseDirectory, name)).ReplaceLineEndings("\n"),
            Is.EqualTo(wanted),
            $"docs/{name} is stale: run this test once with {Update}=1"
        );
    }

    /// <summary>Breaks a line where it would exceed the width, at spaces.</summary>
    public static string Wrap(string line, string indent = "")
    {
        var text = new StringBuilder();
        int used = 0;
        foreach (Match word in Words().Matches(line))
        {
            bool fits = used + 1 + word.Length <= Width;
            if (used > 0)
                text.Append(fits ? " " : $"\n{indent}");
            text.Append(word.Value);
            used = fits ? used + 1 + word.Length : indent.Length + word.Length;
        }
        return text.Append('\n').ToString();
    }

    /// <summary>
    /// What stands between spaces, with a sign behind it: at the beginning of a line it would mark a list.
    /// </summary>
    [GeneratedRegex("[^ ]+(?: [-+*=#>](?= ))*")]
    private static partial Regex Words();
}
