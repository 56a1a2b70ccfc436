using Spectral.Training.IO;

namespace Spectral.Training.Gguf.Tokenizers;

/// <summary>
/// llama.cpp's names of the ways in which it splits text before merging (<c>tokenizer.ggml.pre</c>). It has no patterns
/// of files; each name stands for one that is built in.
/// </summary>
internal static class SplitNames
{
    private const string Contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private const string Words = @"[^\r\n\p{L}\p{N}]?\p{L}+";
    private const string Rest = @" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    private const string Capitals = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+";
    private const string MoreCapitals = @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*";
    private const string RestWithSlash = @" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string Gpt2 = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
    private const string GroupedDigits = $@"{Contractions}|{Words}|\p{{N}}{{1,3}}|{Rest}";
    private const string SingleDigits = $@"{Contractions}|{Words}|\p{{N}}|{Rest}";
    private const string Tekken = $@"{Capitals}|{MoreCapitals}|\p{{N}}|{RestWithSlash}";
    private const string O200k =
        $@"{Capitals}{Contractions}?|{MoreCapitals}{Contractions}?|\p{{N}}{{1,3}}|{RestWithSlash}";

    // The names of patterns, without and with a look-up of whole pieces before they are merged; null: there is none.
    private static readonly Dictionary<string, (string? Merged, string? LookedUp)> Patterns = new()
    {
        [Gpt2] = ("gpt-2", null),
        [GroupedDigits] = ("dbrx", "llama-bpe"),
        [SingleDigits] = ("qwen2", null),
        [Tekken] = (null, "tekken"),
        [O200k] = ("gpt-4o", null),
    };

    /// <summary>Returns the name of what a tokenizer file does before it merges.</summary>
    /// <param name="root">The file's fields.</param>
    /// <param name="ignoresMerges">Whether a piece that is a token stays whole.</param>
    /// <exception cref="InputException">llama.cpp has no such split.</exception>
    public static string Of(JsonFields root, bool ignoresMerges)
    {
        JsonFields[] steps = [.. Steps(root.Object("pre_tokenizer"))];
        if (steps is not [.. var before, var last] || last.Text("type") != "ByteLevel")
            throw Unknown(root);
        if (last.Boolean("add_prefix_space") ?? true)
            throw last.Wrong("add_prefix_space", "false for a GGUF file: llama.cpp puts no space before a text");
        string? pattern = last.Boolean("use_regex") ?? true ? Gpt2 : null;
        switch (before)
        {
            case [] when pattern is not null:
                break;
            case [var digits] when pattern is not null && IsDigits(digits):
                return ignoresMerges ? throw Unknown(root) : "smollm";
            case [var split] when pattern is null && IsIsolated(split):
                pattern = split.Object("pattern")?.Text("Regex");
                break;
            default:
                throw Unknown(root);
        }
        (string? merged, string? lookedUp) = Patterns.GetValueOrDefault(pattern ?? "");
        return (ignoresMerges ? lookedUp : merged) ?? throw Unknown(root);
    }

    private static bool IsDigits(JsonFields step) =>
        step.Text("type") == "Digits" && step.Boolean("individual_digits") == true;

    private static bool IsIsolated(JsonFields step) =>
        step.Text("type") == "Split" && step.Text("behavior") == "Isolated" && !(step.Boolean("invert") ?? false);

    private static IEnumerable<JsonFields> Steps(JsonFields? definition)
    {
        if (definition is not { } fields)
            return [];
        return fields.Text("type") == "Sequence"
            ? fields.Objects("pretokenizers").SelectMany(part => Steps(part))
            : [fields];
    }

    private static InputException Unknown(JsonFields root) =>
        root.Wrong(
            "pre_tokenizer",
            "for a GGUF file one that llama.cpp has built in: that of GPT-2, Llama 3, Qwen2, SmolLM, Mistral's Tekken "
                + "or o200k, with ignore_merges as there"
        );
}
