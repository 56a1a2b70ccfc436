using System.Text;
using Spectral.Training.IO;
using Spectral.Training.Tokenization.Patterns;

namespace Spectral.Training.Tokenization;

/// <summary>The <c>normalizer</c> of a tokenizer file: changes text before it is split.</summary>
internal static class TextNormalizer
{
    private const int MaximumLength = 1 << 24;

    private static readonly Lazy<Dictionary<int, int[]>> Lower = new(() => UnicodeData.Mapping("Lower_17"));
    private static readonly Lazy<CodeSet> Unclean = new(() => CharacterSets.Control.Union(CodeSet.Of(0, 0xFFFD)));

    // The characters that BertNormalizer treats as Chinese.
    private static readonly CodeSet Ideographs = CodeSet.FromSorted([
        (0x3400, 0x4DBF),
        (0x4E00, 0x9FFF),
        (0xF900, 0xFAFF),
        (0x20000, 0x2A6DF),
        (0x2A700, 0x2B73F),
        (0x2B740, 0x2B81F),
        (0x2B920, 0x2CEAF),
        (0x2F800, 0x2FA1F),
    ]);

    // The characters that Nmt removes, and those that it replaces by a space.
    private static readonly CodeSet Ignored = CodeSet.FromSorted([
        (1, 8),
        (0xB, 0xB),
        (0xE, 0x1F),
        (0x7F, 0x7F),
        (0x8F, 0x8F),
        (0x9F, 0x9F),
    ]);
    private static readonly CodeSet SpaceLike = CodeSet
        .Range(0x200B, 0x200F)
        .Union(CodeSet.Of(0x9, 0xA, 0xC, 0xD, 0x1680, 0x2028, 0x2029, 0x2581, 0xFEFF, 0xFFFD));

    /// <summary>Reads a normalizer. If the file has none, it is the identity.</summary>
    public static NormalizerStep Read(JsonFields? definition, string where)
    {
        if (definition is not { } fields)
            return (text, _) => text;
        switch (fields.RequiredText("type"))
        {
            case "BertNormalizer":
                return BertNormalizer(fields);
            case "ByteLevel":
                return (text, _) => ByteAlphabet.Encode(text);
            case "Lowercase":
                return (text, _) => Lowercase(text);
            case "NFC":
                return (text, _) => CanonicalForm.Compose(text);
            case "NFD":
                return (text, _) => CanonicalForm.Decompose(text);
            case "NFKC":
                return (text, _) => CanonicalForm.Compose(text, compatible: true);
            case "NFKD":
                return (text, _) => CanonicalForm.Decompose(text, compatible: true);
            case "Nmt":
                return (text, _) => Map(Without(text, Ignored), SpaceLike);
            case "Prepend":
                string prefix = fields.RequiredText("prepend");
                return (text, goesOn) => goesOn || text.Length == 0 ? text : prefix + text;
            case "Replace":
                var pattern = SplitPattern.Read(fields, "pattern", where);
                if (pattern.MayBeEmpty)
                    throw fields.Wrong("pattern", "one that does not match the empty text");
                string content = fields.RequiredText("content");
                return (text, _) => Replace(text, pattern, content);
            case "Sequence":
                return InTurn([.. fields.Objects("normalizers").Select(part => Read(part, where))]);
            case "Strip":
                return Strip(fields.Boolean("strip_left") ?? false, fields.Boolean("strip_right") ?? false);
            case "StripAccents":
                return (text, _) => Without(text, CharacterSets.Mark);
            default:
                throw fields.Wrong(
                    "type",
                    "BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Prepend, "
                        + "Replace, Sequence, Strip or StripAccents (no other normalizer is supported)"
                );
        }
    }

    /// <summary>
    /// Returns whether the beginning of a text stays at the beginning. If a step removes it, the rest does not count as
    /// the beginning.
    /// </summary>
    public static bool KeepsStart(JsonFields? definition)
    {
        if (definition is not { } fields)
            return true;
        return fields.Text("type") switch
        {
            "ByteLevel" or "Lowercase" or "NFC" or "NFD" or "NFKC" or "NFKD" or "Prepend" => true,
            "Replace" => fields.Object("pattern")?.Text("String")?.Length == 1
                && fields.RequiredText("content").Length > 0,
            "Sequence" => fields.Objects("normalizers").All(part => KeepsStart(part)),
            _ => false,
        };
    }

    /// <summary>Throws if a text becomes too long, which ends chains of steps that each lengthen it.</summary>
    public static int Bounded(long length) =>
        length <= MaximumLength
            ? (int)length
            : throw new InputException(
                $"the tokenizer makes a text longer than {MaximumLength} characters; expected "
                    + "shorter records or another tokenizer.json"
            );

    /// <summary>Returns the text with every match replaced.</summary>
    public static string Replace(string text, SplitPattern pattern, string content)
    {
        if (pattern.Literal is { } literal && content.Length <= literal.Length)
            return text.Replace(literal, content, StringComparison.Ordinal);
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

    private static NormalizerStep InTurn(NormalizerStep[] parts) =>
        (text, goesOn) =>
        {
            GrowthBudget budget = new(text.Length);
            string made = text;
            foreach (NormalizerStep part in parts)
            {
                int before = made.Length;
                made = part(made, goesOn);
                budget.Spend(Math.Max(0, made.Length - before));
            }
            return made;
        };

    private static NormalizerStep Strip(bool left, bool right) =>
        (text, goesOn) =>
        {
            if (left && !goesOn)
                text = text.TrimStart();
            return right ? text.TrimEnd() : text;
        };

    private static NormalizerStep BertNormalizer(JsonFields fields)
    {
        bool lowercase = fields.Boolean("lowercase") ?? true;
        List<NormalizerStep> parts = [];
        if (fields.Boolean("clean_text") ?? true)
            parts.Add((text, _) => Map(Without(text, Unclean.Value), CharacterSets.Space));
        if (fields.Boolean("handle_chinese_chars") ?? true)
            parts.Add((text, _) => SpaceOut(text));
        if (fields.Boolean("strip_accents") ?? lowercase)
            parts.Add((text, _) => Without(CanonicalForm.Decompose(text), CharacterSets.NonspacingMark));
        if (lowercase)
            parts.Add((text, _) => Lowercase(text));
        return InTurn([.. parts]);
    }

    private static string Lowercase(string text)
    {
        StringBuilder builder = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (rune.IsAscii)
                builder.Append(char.ToLowerInvariant((char)rune.Value));
            else if (Lower.Value.TryGetValue(rune.Value, out int[]? lower))
                Array.ForEach(lower, code => builder.Append(char.ConvertFromUtf32(code)));
            else
                builder.Append(rune.ToString());
        }
        return builder.ToString();
    }

    private static string Without(string text, CodeSet set) =>
        Each(
            text,
            (rune, builder) =>
            {
                if (!set.Contains(rune.Value))
                    builder.Append(rune.ToString());
            }
        );

    private static string Map(string text, CodeSet toSpace) =>
        Each(text, (rune, builder) => builder.Append(toSpace.Contains(rune.Value) ? " " : rune.ToString()));

    private static string SpaceOut(string text) =>
        Each(text, (rune, builder) => builder.Append(Ideographs.Contains(rune.Value) ? $" {rune} " : rune.ToString()));

    private static string Each(string text, Action<Rune, StringBuilder> append)
    {
        StringBuilder builder = new(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
            append(rune, builder);
        return builder.ToString();
    }
}
