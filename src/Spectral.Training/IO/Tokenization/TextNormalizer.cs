using System.Text;

namespace Spectral.Training;

/// <summary>The <c>normalizer</c> of a tokenizer file: what happens to text before it is split.</summary>
internal static class TextNormalizer
{
    private const int MaximumLength = 1 << 24;

    /// <summary>Reads a normalizer; the identity where the file has none.</summary>
    public static Func<string, string> Read(JsonFields? definition, string where)
    {
        if (definition is not { } fields)
            return text => text;
        switch (fields.RequiredText("type"))
        {
            case "NFC":
                return CanonicalForm.Compose;
            case "NFD":
                return CanonicalForm.Decompose;
            case "Prepend":
                string prefix = fields.RequiredText("prepend");
                return text => text.Length == 0 ? text : prefix + text;
            case "Replace":
                SplitPattern pattern = SplitPattern.Read(fields, "pattern", where);
                string content = fields.RequiredText("content");
                return text => Replace(text, pattern, content);
            case "Strip":
                bool left = fields.Boolean("strip_left") ?? false, right = fields.Boolean("strip_right") ?? false;
                return text => left && right ? text.Trim() : left ? text.TrimStart() : right ? text.TrimEnd() : text;
            case "Sequence":
                Func<string, string>[] parts = [.. fields.Objects("normalizers").Select(part => Read(part, where))];
                return text =>
                {
                    GrowthBudget budget = new(text.Length);
                    string made = text;
                    foreach (Func<string, string> part in parts)
                    {
                        int before = made.Length;
                        made = part(made);
                        budget.Spend(Math.Max(0, made.Length - before));
                    }
                    return made;
                };
            default:
                throw fields.Wrong("type", "NFC, NFD, Prepend, Replace, Strip or Sequence (no other normalizer is supported)");
        }
    }

    /// <summary>Ends what a chain of steps, each making the text longer, would grow without bound.</summary>
    public static int Bounded(long length) => length <= MaximumLength
        ? (int)length
        : throw new InputException($"the tokenizer makes a text longer than {MaximumLength} characters; expected shorter records or "
            + "another tokenizer.json");

    /// <summary>The text with every match replaced.</summary>
    public static string Replace(string text, SplitPattern pattern, string content)
    {
        List<(int Start, int End)> matches = pattern.Matches(text);
        if (matches.Count == 0)
            return text;
        Bounded(text.Length + ((long)matches.Count * content.Length));
        StringBuilder builder = new(text.Length);
        int at = 0;
        foreach ((int start, int end) in matches)
        {
            builder.Append(text, at, start - at).Append(content);
            at = end;
        }
        return builder.Append(text, at, text.Length - at).ToString();
    }
}
