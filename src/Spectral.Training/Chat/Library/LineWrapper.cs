using System.Text.RegularExpressions;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Python's <c>textwrap.wrap</c> of one line.</summary>
internal static partial class LineWrapper
{
    /// <summary>Returns the lines that a line becomes.</summary>
    /// <param name="line">The line.</param>
    /// <param name="width">The largest number of characters of a line.</param>
    /// <param name="breaksWords">Whether longer words are cut.</param>
    /// <param name="breaksHyphens">Whether words may be parted behind a hyphen.</param>
    public static List<string> Wrap(string line, long width, bool breaksWords, bool breaksHyphens)
    {
        Stack<string> chunks = new(Chunks(line, breaksHyphens).Reverse());
        List<string> lines = [];
        while (chunks.Count > 0)
        {
            if (lines.Count > 0 && chunks.Peek().All(Spaces.IsSpace))
                chunks.Pop();
            List<string> current = [];
            long length = 0;
            while (chunks.Count > 0 && length + CodePoints.Count(chunks.Peek()) <= width)
            {
                current.Add(chunks.Pop());
                length += CodePoints.Count(current[^1]);
            }
            if (chunks.Count > 0 && CodePoints.Count(chunks.Peek()) > width)
                Cut(chunks, current, width - length, width, breaksWords, breaksHyphens);
            if (current.Count > 0 && current[^1].All(Spaces.IsSpace))
                current.RemoveAt(current.Count - 1);
            if (current.Count > 0)
                lines.Add(string.Concat(current));
        }
        return lines;
    }

    private static void Cut(
        Stack<string> chunks,
        List<string> current,
        long space,
        long width,
        bool breaksWords,
        bool breaksHyphens
    )
    {
        if (!breaksWords)
        {
            if (current.Count == 0)
                current.Add(chunks.Pop());
            return;
        }
        space = width < 1 ? 1 : space;
        string chunk = chunks.Pop();
        int end = (int)space;
        if (breaksHyphens && CodePoints.Count(chunk) > space && end > 0)
        {
            int hyphen = chunk.LastIndexOf('-', Math.Min(end, chunk.Length) - 1);
            if (hyphen > 0 && chunk.AsSpan(0, hyphen).IndexOfAnyExcept('-') >= 0)
                end = hyphen + 1;
        }
        int at = CodePoints.Offset(chunk, 0, end);
        current.Add(chunk[..at]);
        chunks.Push(chunk[at..]);
    }

    private static IEnumerable<string> Chunks(string line, bool breaksHyphens)
    {
        foreach (Match match in Runs().Matches(line))
        {
            if (match.Groups["space"].Success || !breaksHyphens)
            {
                yield return match.Value;
            }
            else
            {
                foreach (Match part in Parts().Matches(match.Value))
                    yield return part.Value;
            }
        }
    }

    [GeneratedRegex(@"(?<space>\s+)|\S+", RegexOptions.ExplicitCapture)]
    private static partial Regex Runs();

    // A word breaks behind a hyphen between two letters on either side, and around dashes.
    [GeneratedRegex(@"-{2,}(?=\w)|(?:(?!-{2,}\w).)+?(?:(?<=[^\d\W][^\d\W]-)(?=[^\d\W]-?[^\d\W])|(?=-{2,}\w)|$)")]
    private static partial Regex Parts();
}
