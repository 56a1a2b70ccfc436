using System.Text;

namespace Spectral.Training.Chat.Values;

/// <summary>
/// A text that counts as HTML, as the filters escape and safe return it. Texts joined to it are escaped.
/// </summary>
internal sealed record Markup(string Text)
{
    /// <summary>Returns a value as HTML: markup as it is, anything else escaped.</summary>
    public static Markup Of(object? value, Budget budget) =>
        value as Markup ?? new Markup(Escape(PythonText.Str(value, budget), budget));

    /// <summary>Returns a text with the five special characters of HTML escaped.</summary>
    public static string Escape(string text, Budget budget)
    {
        budget.Text(5L * text.Length);
        var builder = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            _ = c switch
            {
                '&' => builder.Append("&amp;"),
                '<' => builder.Append("&lt;"),
                '>' => builder.Append("&gt;"),
                '"' => builder.Append("&#34;"),
                '\'' => builder.Append("&#39;"),
                _ => builder.Append(c),
            };
        }
        return builder.ToString();
    }
}
