using System.Buffers;
using System.Text;
using Spectral.Training.IO;
using Spectral.Training.Tokenization.Patterns;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The <c>pre_tokenizer</c> of a tokenizer file: splits text into the pieces that merges never cross.
/// </summary>
internal sealed class PreTokenizer
{
    // The split of byte-level tokenizers without a pattern of their own.
    private const string ByteLevelPattern =
        @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private readonly string _where;
    private readonly PieceStep _merge;
    private readonly PieceStep _mergeBytes;

    private PreTokenizer(string where, PieceStep merge, PieceStep mergeBytes)
    {
        _where = where;
        _merge = merge;
        _mergeBytes = mergeBytes;
    }

    /// <summary>Reads a pre-tokenizer. If the file has none, whole texts are merged.</summary>
    /// <param name="definition">The value in the file.</param>
    /// <param name="where">The file and the key, for messages.</param>
    /// <param name="merge">Receives the pieces.</param>
    /// <param name="mergeBytes">
    /// Receives the pieces instead if the last step writes them in the byte alphabet. They are passed unwritten,
    /// because a piece that is in the cache need not be converted.
    /// </param>
    public static PieceStep Read(JsonFields? definition, string where, PieceStep merge, PieceStep mergeBytes) =>
        new PreTokenizer(where, merge, mergeBytes).Step(definition, merge);

    /// <summary>
    /// Checks that a Metaspace with the scheme "first" can tell where the text begins. For the Rust core this depends
    /// on the origin of the characters: the rest of a text whose beginning was removed is not at the beginning, and
    /// each part of text that was inserted there is.
    /// </summary>
    /// <exception cref="InputException">Other steps of the file make this ambiguous.</exception>
    public static void CheckStart(JsonFields root)
    {
        JsonFields[] steps = [.. Steps(root.Object("pre_tokenizer"))];
        int first = Array.FindIndex(steps, step => step.Text("prepend_scheme") == "first");
        if (first < 0)
            return;
        if (Array.Exists(steps[..first], step => step.Text("type") is "ByteLevel" or "Metaspace"))
            throw steps[first].Wrong("prepend_scheme", "always or never behind a ByteLevel or a Metaspace");
        JsonFields? normalizer = root.Object("normalizer");
        if (!TextNormalizer.KeepsStart(normalizer) || (first > 0 && normalizer is not null))
            throw steps[first].Wrong("prepend_scheme", "always or never beside this normalizer");
    }

    private static IEnumerable<JsonFields> Steps(JsonFields? definition)
    {
        if (definition is not { } fields)
            return [];
        return fields.Text("type") == "Sequence"
            ? fields.Objects("pretokenizers").SelectMany(part => Steps(part))
            : [fields];
    }

    // Builds a step together with all that follow it.
    private PieceStep Step(JsonFields? definition, PieceStep next)
    {
        if (definition is not { } fields)
            return next;
        switch (fields.RequiredText("type"))
        {
            case "BertPreTokenizer":
                return Split(
                    CharacterSets.Space,
                    TextSplit.Removed,
                    Split(CharacterSets.Punctuation, TextSplit.Isolated, next)
                );
            case "ByteLevel":
                return ByteLevel(fields, next);
            case "CharDelimiterSplit":
                Rune delimiter = Character(fields, "delimiter", fields.RequiredText("delimiter"));
                return Split(CodeSet.Of(delimiter.Value), TextSplit.Removed, next);
            case "Digits":
                bool individual = fields.Boolean("individual_digits") ?? false;
                return Split(CharacterSets.Number, individual ? TextSplit.Isolated : TextSplit.Contiguous, next);
            case "FixedLength":
                return FixedLength(fields.Integer("length", 1, int.MaxValue) ?? 5, next);
            case "Metaspace":
                return Metaspace(fields, next);
            case "Punctuation":
                return Split(CharacterSets.Punctuation, TextSplit.ReadBehavior(fields, absent: "Isolated"), next);
            case "Sequence":
                return fields.Objects("pretokenizers").Reverse().Aggregate(next, (after, part) => Step(part, after));
            case "Split":
                var pattern = SplitPattern.Read(fields, "pattern", _where);
                return Split(pattern, fields.Boolean("invert") ?? false, TextSplit.ReadBehavior(fields), next);
            case "Whitespace":
                // Splits into runs of word characters, and runs of characters that are neither word nor white space.
                return Split(
                    CharacterSets.Word,
                    TextSplit.Contiguous,
                    Split(CharacterSets.Space, TextSplit.Removed, next)
                );
            case "WhitespaceSplit":
                return Split(CharacterSets.Space, TextSplit.Removed, next);
            default:
                throw fields.Wrong(
                    "type",
                    "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, FixedLength, "
                        + "Metaspace, Punctuation, Sequence, Split, Whitespace or WhitespaceSplit (no "
                        + "other is supported)"
                );
        }
    }

    private static PieceStep Split(CodeSet set, TextSplit split, PieceStep next) =>
        (text, atStart, run) => split.Cut(text, atStart, TextSplit.Stretches(text, set), next, run);

    private static PieceStep Split(SplitPattern pattern, bool invert, TextSplit split, PieceStep next) =>
        (text, atStart, run) => split.Cut(text, atStart, TextSplit.Stretches(text, pattern, invert), next, run);

    private PieceStep ByteLevel(JsonFields fields, PieceStep next)
    {
        PieceStep step = next == _merge ? _mergeBytes : Spelt(next);
        if (fields.Boolean("use_regex") ?? true)
        {
            var pattern = SplitPattern.FromExpression(ByteLevelPattern, _where);
            step = Split(pattern, invert: false, TextSplit.Isolated, step);
        }
        return fields.Boolean("add_prefix_space") ?? true ? WithSpaceBefore(step) : step;
    }

    private static PieceStep Spelt(PieceStep next) =>
        (text, atStart, run) =>
        {
            string spelt = ByteAlphabet.Encode(text);
            run.Budget.Spend(spelt.Length);
            next(spelt, atStart, run);
        };

    private static PieceStep WithSpaceBefore(PieceStep next) =>
        (text, atStart, run) => next(text.StartsWith(' ') || (atStart && run.GoesOn) ? text : $" {text}", atStart, run);

    // Spaces become the replacement character, which is also put before the text, and each of them begins a piece.
    private PieceStep Metaspace(JsonFields fields, PieceStep next)
    {
        string replacement = Character(fields, "replacement", fields.Text("replacement") ?? "▁").ToString();
        string scheme =
            fields.Text("prepend_scheme") ?? (fields.Boolean("add_prefix_space") ?? true ? "always" : "never");
        if (scheme is not ("always" or "never" or "first"))
            throw fields.Wrong("prepend_scheme", "always, never or first");
        PieceStep step =
            fields.Boolean("split") ?? true
                ? Split(SplitPattern.FromLiteral(replacement, _where), invert: false, TextSplit.MergedWithNext, next)
                : next;
        return (text, atStart, run) =>
        {
            string replaced = text.ToString().Replace(" ", replacement, StringComparison.Ordinal);
            bool prepends = atStart ? scheme != "never" && !run.GoesOn : scheme == "always";
            if (prepends && !replaced.StartsWith(replacement, StringComparison.Ordinal))
                replaced = replacement + replaced;
            run.Budget.Spend(replaced.Length);
            step(replaced, atStart, run);
        };
    }

    private static PieceStep FixedLength(int length, PieceStep next) =>
        (text, atStart, run) =>
        {
            int start = 0;
            int at = 0;
            int count = 0;
            foreach (Rune rune in text.EnumerateRunes())
            {
                at += rune.Utf16SequenceLength;
                if (++count % length != 0)
                    continue;
                next(text[start..at], atStart && start == 0, run);
                start = at;
            }
            if (at > start)
                next(text[start..], atStart && start == 0, run);
        };

    private static Rune Character(JsonFields fields, string key, string text) =>
        text.Length > 0
        && Rune.DecodeFromUtf16(text, out Rune rune, out int length) == OperationStatus.Done
        && length == text.Length
            ? rune
            : throw fields.Wrong(key, "one character");
}
