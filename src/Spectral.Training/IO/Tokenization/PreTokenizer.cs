using System.Globalization;
using System.Text;

namespace Spectral.Training;

/// <summary>A stretch of text on its way to the merges, and whether it begins where the whole text begins.</summary>
internal readonly record struct TextPiece(string Text, bool AtStart, GrowthBudget? Budget = null);

/// <summary>The <c>pre_tokenizer</c> of a tokenizer file: cuts text into the pieces that merges never cross.</summary>
internal static class PreTokenizer
{
    // The split of byte-level tokenizers that bring no pattern of their own.
    private const string ByteLevelPattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>Reads a pre-tokenizer; the identity where the file has none.</summary>
    public static Func<TextPiece, IEnumerable<TextPiece>> Read(JsonFields? definition, string where)
    {
        if (definition is not { } fields)
            return piece => [piece];
        switch (fields.RequiredText("type"))
        {
            case "ByteLevel":
                return ByteLevel(fields, where);
            case "Split":
                return Split(fields, where);
            case "Metaspace":
                return Metaspace(fields, where);
            case "Digits":
                return Digits(fields.Boolean("individual_digits") ?? false);
            case "Sequence":
                Func<TextPiece, IEnumerable<TextPiece>>[] parts = [.. fields.Objects("pretokenizers").Select(part => Read(part, where))];
                return piece => parts.Aggregate(Enumerable.Repeat(piece, 1), (pieces, part) => pieces.SelectMany(part));
            default:
                throw fields.Wrong("type", "ByteLevel, Split, Metaspace, Digits or Sequence (no other pre-tokenizer is supported)");
        }
    }

    private static Func<TextPiece, IEnumerable<TextPiece>> ByteLevel(JsonFields fields, string where)
    {
        bool addPrefixSpace = fields.Boolean("add_prefix_space") ?? true;
        SplitPattern? pattern = fields.Boolean("use_regex") ?? true ? SplitPattern.FromExpression(ByteLevelPattern, where) : null;
        return piece =>
        {
            if (addPrefixSpace && !piece.Text.StartsWith(' '))
                piece = piece with { Text = " " + piece.Text };
            IEnumerable<TextPiece> pieces = pattern is null
                ? [piece]
                : Cut(piece, Ranges(piece.Text, pattern, invert: false).Select(range => (range.Start, range.End)));
            return pieces.Select(part =>
            {
                string encoded = ByteAlphabet.Encode(part.Text);
                part.Budget?.Spend(encoded.Length);
                return part with { Text = encoded };
            });
        };
    }

    private static Func<TextPiece, IEnumerable<TextPiece>> Split(JsonFields fields, string where)
    {
        SplitPattern pattern = SplitPattern.Read(fields, "pattern", where);
        bool invert = fields.Boolean("invert") ?? false;
        string behavior = fields.RequiredText("behavior").ToUpperInvariant().Replace("_", "", StringComparison.Ordinal);
        Func<List<Stretch>, IEnumerable<(int, int)>> join = behavior switch
        {
            "ISOLATED" => ranges => ranges.Select(range => (range.Start, range.End)),
            "REMOVED" => ranges => ranges.Where(range => !range.IsMatch).Select(range => (range.Start, range.End)),
            "CONTIGUOUS" => ranges => Join(ranges, (before, range) => before.IsMatch == range.IsMatch),
            "MERGEDWITHPREVIOUS" => ranges => Join(ranges, (before, range) => range.IsMatch && !before.IsMatch),
            "MERGEDWITHNEXT" => ranges => Join(ranges, (before, range) => before.IsMatch && !range.IsMatch),
            _ => throw fields.Wrong("behavior", "Isolated, Removed, Contiguous, MergedWithPrevious or MergedWithNext"),
        };
        return piece => Cut(piece, join(Ranges(piece.Text, pattern, invert)));
    }

    // Spaces become the replacement character, which is put in front of the text as well, and each begins a piece.
    private static Func<TextPiece, IEnumerable<TextPiece>> Metaspace(JsonFields fields, string where)
    {
        string replacement = fields.Text("replacement") ?? "▁";
        if (replacement.Length != 1)
            throw fields.Wrong("replacement", "one character");
        string scheme = fields.Text("prepend_scheme") ?? (fields.Boolean("add_prefix_space") ?? true ? "always" : "never");
        if (scheme is not ("always" or "never" or "first"))
            throw fields.Wrong("prepend_scheme", "always, never or first");
        SplitPattern? pattern = fields.Boolean("split") ?? true ? SplitPattern.FromLiteral(replacement, where) : null;
        return piece =>
        {
            string text = piece.Text.Replace(" ", replacement, StringComparison.Ordinal);
            if ((scheme == "always" || (scheme == "first" && piece.AtStart)) && !text.StartsWith(replacement, StringComparison.Ordinal))
                text = replacement + text;
            piece.Budget?.Spend(text.Length);
            piece = piece with { Text = text };
            return pattern is null
                ? [piece]
                : Cut(piece, Join(Ranges(text, pattern, invert: false), (before, range) => before.IsMatch && !range.IsMatch));
        };
    }

    private static Func<TextPiece, IEnumerable<TextPiece>> Digits(bool individual)
        => piece =>
        {
            List<Stretch> ranges = [];
            int at = 0;
            foreach (Rune rune in piece.Text.EnumerateRunes())
            {
                bool digit = Rune.GetUnicodeCategory(rune)
                    is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;
                ranges.Add(new Stretch(at, at += rune.Utf16SequenceLength, digit));
            }
            return Cut(piece, Join(ranges, (before, range) => before.IsMatch == range.IsMatch && !(individual && range.IsMatch)));
        };

    private readonly record struct Stretch(int Start, int End, bool IsMatch);

    // Matches and what lies between them, covering the text.
    private static List<Stretch> Ranges(string text, SplitPattern pattern, bool invert)
    {
        List<Stretch> ranges = [];
        int at = 0;
        foreach ((int start, int end) in pattern.Matches(text))
        {
            if (start > at)
                ranges.Add(new Stretch(at, start, invert));
            if (end > start)
                ranges.Add(new Stretch(start, end, !invert));
            at = end;
        }
        if (at < text.Length)
            ranges.Add(new Stretch(at, text.Length, invert));
        return ranges;
    }

    // Joins a range to the one before it where the rule says so; a joined pair is closed for MergedWith rules by its last range.
    private static IEnumerable<(int Start, int End)> Join(List<Stretch> ranges, Func<Stretch, Stretch, bool> joins)
    {
        for (int i = 0; i < ranges.Count;)
        {
            int start = ranges[i].Start;
            do
                i++;
            while (i < ranges.Count && joins(ranges[i - 1], ranges[i]));
            yield return (start, ranges[i - 1].End);
        }
    }

    private static IEnumerable<TextPiece> Cut(TextPiece piece, IEnumerable<(int Start, int End)> ranges)
    {
        foreach ((int start, int end) in ranges)
            yield return piece with { Text = piece.Text[start..end], AtStart = piece.AtStart && start == 0 };
    }
}
