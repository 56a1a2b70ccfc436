using System.Text;

namespace Spectral.Cli.Hosting;

/// <summary>Breaks text into lines that fit a width.</summary>
internal static class WrappedText
{
    /// <summary>Breaks a text at its spaces into lines of at most <paramref name="width"/> characters.</summary>
    /// <remarks>A word that is longer than a line has a line of its own.</remarks>
    public static IEnumerable<string> Lines(string text, int width)
    {
        var line = new StringBuilder();
        foreach (string word in text.Split(' '))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                yield return line.ToString();
                line.Clear();
            }
            if (line.Length > 0)
                line.Append(' ');
            line.Append(word);
        }
        yield return line.ToString();
    }
}
