using System.Text;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Translates regular expressions from the syntax of Python's <c>re</c>, with which PEFT matches names, to that of
/// .NET. What both write alike is unchanged.
/// </summary>
internal static class PythonExpression
{
    /// <summary>
    /// Translates named groups <c>(?P&lt;name&gt;…)</c> and references <c>(?P=name)</c> to them, the end <c>\Z</c>, and
    /// repetitions <c>{,n}</c> without a lower bound.
    /// </summary>
    public static string Translate(string pattern)
    {
        StringBuilder result = new(pattern.Length);
        for (int at = 0; at < pattern.Length; )
        {
            int length = pattern[at] == '[' ? ClassLength(pattern, at) : 1;
            if (pattern[at] == '\\' && at + 1 < pattern.Length)
            {
                result.Append(pattern[at + 1] == 'Z' ? @"\z" : pattern.Substring(at, 2));
                at += 2;
            }
            else if (StartsWith("(?P<"))
            {
                result.Append("(?<");
                at += 4;
            }
            else if (StartsWith("(?P=") && pattern.IndexOf(')', at) is > 0 and var end)
            {
                result.Append(@"\k<").Append(pattern, at + 4, end - at - 4).Append('>');
                at = end + 1;
            }
            else if (StartsWith("{,"))
            {
                result.Append("{0,");
                at += 2;
            }
            else
            {
                result.Append(pattern, at, length);
                at += length;
            }

            bool StartsWith(string text) => string.CompareOrdinal(pattern, at, text, 0, text.Length) == 0;
        }
        return result.ToString();
    }

    /// <summary>
    /// Counts the characters of the class that begins here. Inside it, none of the translated constructs has a meaning,
    /// and a ] that comes first is a member.
    /// </summary>
    private static int ClassLength(string pattern, int start)
    {
        int at = start + 1;
        if (at < pattern.Length && pattern[at] == '^')
            at++;
        if (at < pattern.Length && pattern[at] == ']')
            at++;
        while (at < pattern.Length && pattern[at] != ']')
            at += pattern[at] == '\\' ? 2 : 1;
        return Math.Min(at + 1, pattern.Length) - start;
    }
}
