using System.Text;

namespace Spectral.Training.IO;

/// <summary>Renders names and values from untrusted files so that they fit in one line of an error message.</summary>
internal static class InputText
{
    private const int Longest = 80;

    /// <summary>Returns the text in single quotes, with control characters escaped, cut after 80 characters.</summary>
    public static string Quote(string text) => $"'{Line(text)}'";

    /// <summary>Returns the text with control characters escaped, cut after 80 characters.</summary>
    public static string Line(string text)
    {
        var builder = new StringBuilder();
        foreach (char c in text)
        {
            if (builder.Length >= Longest)
                return builder.Append('…').ToString();
            if (char.IsControl(c) || char.IsSurrogate(c) || c is '\u2028' or '\u2029')
                builder.Append($"\\u{(int)c:x4}");
            else
                builder.Append(c);
        }
        return builder.ToString();
    }

    /// <summary>Returns a tensor shape as text, such as [2, 3].</summary>
    public static string Shape(ReadOnlySpan<long> shape)
    {
        var builder = new StringBuilder("[");
        for (int i = 0; i < shape.Length && builder.Length < Longest; i++)
            builder.Append(i == 0 ? "" : ", ").Append(shape[i]);
        return builder.Append(']').ToString();
    }
}
