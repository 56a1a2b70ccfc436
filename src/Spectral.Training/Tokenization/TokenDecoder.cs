using System.Globalization;
using System.Text;
using Spectral.Training.IO;

namespace Spectral.Training.Tokenization;

/// <summary>
/// The <c>decoder</c> of a tokenizer file: turns tokens back into text by steps over a list of strings.
/// </summary>
internal static class TokenDecoder
{
    private static readonly UTF8Encoding Strict = new(
        encoderShouldEmitUTF8Identifier: false,
        throwOnInvalidBytes: true
    );

    private static readonly (string From, string To)[] Cleanup =
    [
        (" .", "."),
        (" ?", "?"),
        (" !", "!"),
        (" ,", ","),
        (" ' ", "'"),
        (" n't", "n't"),
        (" 'm", "'m"),
        (" do not", " don't"),
        (" 's", "'s"),
        (" 've", "'ve"),
        (" 're", "'re"),
    ];

    /// <summary>Reads a decoder. If the file has none, tokens are joined by spaces.</summary>
    public static Func<List<string>, List<string>> Read(JsonFields? definition, string where)
    {
        if (definition is not { } fields)
            return tokens => [string.Join(' ', tokens)];
        switch (fields.RequiredText("type"))
        {
            case "ByteLevel":
                return ByteLevel;
            case "ByteFallback":
                return ByteFallback;
            case "Fuse":
                return tokens => [string.Concat(tokens)];
            case "Metaspace":
                string scheme =
                    fields.Text("prepend_scheme") ?? (fields.Boolean("add_prefix_space") ?? true ? "always" : "never");
                string replacement = fields.Text("replacement") ?? "▁";
                if (replacement.Length == 0)
                    throw fields.Wrong("replacement", "a character");
                return Metaspace(replacement, dropFirst: scheme != "never");
            case "Replace":
                var pattern = SplitPattern.Read(fields, "pattern", where);
                string content = fields.RequiredText("content");
                return tokens => Replace(tokens, pattern, content);
            case "Strip":
                return Strip(
                    fields.RequiredText("content"),
                    fields.Integer("start", 0, int.MaxValue) ?? 0,
                    fields.Integer("stop", 0, int.MaxValue) ?? 0
                );
            case "CTC":
                return Ctc(fields);
            case "WordPiece":
                string start = fields.Text("prefix") ?? "##";
                bool clean = fields.Boolean("cleanup") ?? true;
                return tokens =>
                    [.. tokens.Select((token, index) => WordPiece(token, index == 0 ? null : start, clean))];
            case "BPEDecoder":
                string suffix = fields.Text("suffix") ?? "</w>";
                return tokens =>
                    suffix.Length == 0
                        ? tokens
                        :
                        [
                            .. tokens.Select(
                                (token, index) =>
                                    token.Replace(
                                        suffix,
                                        index == tokens.Count - 1 ? "" : " ",
                                        StringComparison.Ordinal
                                    )
                            ),
                        ];
            case "Sequence":
                Func<List<string>, List<string>>[] parts =
                [
                    .. fields.Objects("decoders").Select(part => Read(part, where)),
                ];
                return tokens => parts.Aggregate(tokens, (current, part) => part(current));
            default:
                throw fields.Wrong(
                    "type",
                    "BPEDecoder, ByteFallback, ByteLevel, CTC, Fuse, Metaspace, Replace, "
                        + "Sequence, Strip or WordPiece (no other decoder is supported)"
                );
        }
    }

    private static List<string> Replace(List<string> tokens, SplitPattern pattern, string content)
    {
        List<string> result = new(tokens.Count);
        long length = 0;
        foreach (string token in tokens)
        {
            result.Add(TextNormalizer.Replace(token, pattern, content));
            TextNormalizer.Bounded(length += result[^1].Length);
        }
        return result;
    }

    private static List<string> ByteLevel(List<string> tokens)
    {
        List<byte> bytes = [];
        foreach (string token in tokens)
            ByteAlphabet.Decode(token, bytes);
        return [Encoding.UTF8.GetString([.. bytes])];
    }

    // Runs of <0xXX> tokens become the text that they encode, or one replacement character per byte if they are not
    // valid UTF-8.
    private static List<string> ByteFallback(List<string> tokens)
    {
        List<string> result = [];
        List<byte> bytes = [];
        foreach (string token in tokens)
        {
            if (
                token is ['<', '0', 'x', _, _, '>']
                && byte.TryParse(
                    token.AsSpan(3, 2),
                    NumberStyles.AllowHexSpecifier,
                    CultureInfo.InvariantCulture,
                    out byte value
                )
            )
            {
                bytes.Add(value);
                continue;
            }
            Flush();
            result.Add(token);
        }
        Flush();
        return result;

        void Flush()
        {
            try
            {
                if (bytes.Count > 0)
                    result.Add(Strict.GetString([.. bytes]));
            }
            catch (DecoderFallbackException)
            {
                result.AddRange(Enumerable.Repeat("\uFFFD", bytes.Count));
            }
            bytes.Clear();
        }
    }

    // Repeated tokens count once, and padding is ignored.
    private static Func<List<string>, List<string>> Ctc(JsonFields fields)
    {
        string padding = fields.Text("pad_token") ?? "<pad>";
        string delimiter = fields.Text("word_delimiter_token") ?? "|";
        bool cleanup = fields.Boolean("cleanup") ?? true;
        if (padding.Length == 0 || delimiter.Length == 0)
            throw fields.Wrong(padding.Length == 0 ? "pad_token" : "word_delimiter_token", "at least one character");
        return tokens =>
        {
            List<string> result = [];
            for (int i = 0; i < tokens.Count; i++)
            {
                if (i > 0 && tokens[i] == tokens[i - 1])
                    continue;
                string token = tokens[i].Replace(padding, "", StringComparison.Ordinal);
                if (cleanup)
                    token = Cleaned(token).Replace(delimiter, " ", StringComparison.Ordinal);
                if (token.Length > 0)
                    result.Add(token);
            }
            return result;
        };
    }

    private static string WordPiece(string token, string? prefix, bool clean)
    {
        if (prefix is not null)
            token = token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
        return clean ? Cleaned(token) : token;
    }

    // Removes spaces before punctuation and in English contractions.
    private static string Cleaned(string text)
    {
        foreach ((string from, string to) in Cleanup)
            text = text.Replace(from, to, StringComparison.Ordinal);
        return text;
    }

    private static Func<List<string>, List<string>> Metaspace(string replacement, bool dropFirst) =>
        tokens =>
            [
                .. tokens.Select(
                    (token, index) =>
                        token.Replace(replacement, dropFirst && index == 0 ? "" : " ", StringComparison.Ordinal)
                ),
            ];

    private static Func<List<string>, List<string>> Strip(string content, int start, int stop) =>
        tokens =>
            content.Length == 0
                ? tokens
                :
                [
                    .. tokens.Select(token =>
                    {
                        ReadOnlySpan<char> left = token;
                        for (int i = 0; i < start && left.StartsWith(content, StringComparison.Ordinal); i++)
                            left = left[content.Length..];
                        for (int i = 0; i < stop && left.EndsWith(content, StringComparison.Ordinal); i++)
                            left = left[..^content.Length];
                        return left.ToString();
                    }),
                ];
}
