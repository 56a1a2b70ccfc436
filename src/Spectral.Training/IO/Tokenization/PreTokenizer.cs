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
            case "BertPreTokenizer":
                return InTurn([Split(CharacterSets.Space, TextSplit.Removed), Split(CharacterSets.Punctuation, TextSplit.Isolated)]);
            case "ByteLevel":
                return ByteLevel(fields, where);
            case "CharDelimiterSplit":
                return Split(CodeSet.Of(Character(fields, "delimiter", fields.RequiredText("delimiter")).Value), TextSplit.Removed);
            case "Digits":
                return Split(CharacterSets.Number,
                    fields.Boolean("individual_digits") ?? false ? TextSplit.Isolated : TextSplit.Contiguous);
            case "FixedLength":
                return FixedLength(fields.Integer("length", 1, int.MaxValue) ?? 5);
            case "Metaspace":
                return Metaspace(fields, where);
            case "Punctuation":
                return Split(CharacterSets.Punctuation, TextSplit.ReadBehavior(fields, absent: "Isolated"));
            case "Sequence":
                return InTurn([.. fields.Objects("pretokenizers").Select(part => Read(part, where))]);
            case "Split":
                return Split(fields, where);
            case "Whitespace":
                return Whitespace;
            case "WhitespaceSplit":
                return Split(CharacterSets.Space, TextSplit.Removed);
            default:
                throw fields.Wrong("type", "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, Metaspace, "
                    + "Punctuation, Sequence, Split, Whitespace or WhitespaceSplit (no other pre-tokenizer is supported)");
        }
    }

    /// <summary>Whether some step treats the beginning of the text in another way than the rest.</summary>
    public static bool AsksForStart(JsonFields? definition)
        => definition is { } fields && (fields.Text("prepend_scheme") == "first" || fields.Objects("pretokenizers").Any(part => AsksForStart(part)));

    private static Func<TextPiece, IEnumerable<TextPiece>> InTurn(Func<TextPiece, IEnumerable<TextPiece>>[] parts)
        => piece => parts.Aggregate(Enumerable.Repeat(piece, 1), (pieces, part) => pieces.SelectMany(part));

    private static Func<TextPiece, IEnumerable<TextPiece>> Split(CodeSet set,
        Func<List<TextSplit.Stretch>, IEnumerable<(int Start, int End)>> behavior)
        => piece => TextSplit.Cut(piece, behavior(TextSplit.Stretches(piece.Text, set)));

    private static Func<TextPiece, IEnumerable<TextPiece>> Split(JsonFields fields, string where)
    {
        SplitPattern pattern = SplitPattern.Read(fields, "pattern", where);
        bool invert = fields.Boolean("invert") ?? false;
        Func<List<TextSplit.Stretch>, IEnumerable<(int Start, int End)>> behavior = TextSplit.ReadBehavior(fields);
        return piece => TextSplit.Cut(piece, behavior(TextSplit.Stretches(piece.Text, pattern, invert)));
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
                : TextSplit.Cut(piece, TextSplit.Isolated(TextSplit.Stretches(piece.Text, pattern)));
            return pieces.Select(part =>
            {
                string encoded = ByteAlphabet.Encode(part.Text);
                part.Budget?.Spend(encoded.Length);
                return part with { Text = encoded };
            });
        };
    }

    // Spaces become the replacement character, which is put in front of the text as well, and each begins a piece.
    private static Func<TextPiece, IEnumerable<TextPiece>> Metaspace(JsonFields fields, string where)
    {
        string replacement = Character(fields, "replacement", fields.Text("replacement") ?? "▁").ToString();
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
            return pattern is null ? [piece] : TextSplit.Cut(piece, TextSplit.MergedWithNext(TextSplit.Stretches(text, pattern)));
        };
    }

    private static Func<TextPiece, IEnumerable<TextPiece>> FixedLength(int length)
        => piece =>
        {
            List<(int Start, int End)> ranges = [];
            int at = 0, count = 0;
            foreach (Rune rune in piece.Text.EnumerateRunes())
            {
                if (count++ % length == 0)
                    ranges.Add((at, at));
                at += rune.Utf16SequenceLength;
                ranges[^1] = (ranges[^1].Start, at);
            }
            return TextSplit.Cut(piece, ranges);
        };

    // Runs of word characters, and runs of what is neither word nor white space.
    private static IEnumerable<TextPiece> Whitespace(TextPiece piece)
    {
        List<TextSplit.Stretch> words = TextSplit.Stretches(piece.Text, CharacterSets.Word);
        foreach (TextPiece run in TextSplit.Cut(piece, TextSplit.Contiguous(words)))
        {
            foreach (TextPiece part in TextSplit.Cut(run, TextSplit.Removed(TextSplit.Stretches(run.Text, CharacterSets.Space))))
                yield return part;
        }
    }

    private static Rune Character(JsonFields fields, string key, string text)
        => text.Length > 0 && Rune.DecodeFromUtf16(text, out Rune rune, out int length) == System.Buffers.OperationStatus.Done
            && length == text.Length ? rune : throw fields.Wrong(key, "one character");
}
