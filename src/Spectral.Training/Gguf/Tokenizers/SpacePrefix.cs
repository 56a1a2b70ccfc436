using Spectral.Training.IO;

namespace Spectral.Training.Gguf.Tokenizers;

/// <summary>
/// What a SentencePiece-like tokenizer does to spaces. llama.cpp writes each as ▁ and may put one before a text;
/// nothing else of a normalizer or pre-tokenizer can be stored.
/// </summary>
internal static class SpacePrefix
{
    private const string Replacement = "▁";

    /// <summary>Returns whether a space is put before a text.</summary>
    /// <param name="root">The fields of the tokenizer file.</param>
    /// <exception cref="InputException">Its steps are others than these.</exception>
    public static bool Of(JsonFields root)
    {
        JsonFields[] normalizers = [.. Steps(root.Object("normalizer"), "normalizers")];
        JsonFields[] splits = [.. Steps(root.Object("pre_tokenizer"), "pretokenizers")];
        switch ((normalizers, splits))
        {
            case ([var prepend, var replace], []) when IsPrepend(prepend) && IsReplace(replace):
                return true;
            // After the replacement no spaces are left to split at.
            case ([var replace], [] or [_]) when IsReplace(replace) && splits.All(IsSplitAtSpaces):
                return false;
            case ([], [var metaspace]) when IsMetaspace(metaspace):
                return (metaspace.Text("prepend_scheme") ?? "always") != "never";
            default:
                throw root.Wrong(
                    splits.Length > 0 ? "pre_tokenizer" : "normalizer",
                    $"for a GGUF file steps that write spaces as {Replacement}, with or without one before a text, and "
                        + "do nothing else"
                );
        }
    }

    private static IEnumerable<JsonFields> Steps(JsonFields? definition, string key)
    {
        if (definition is not { } fields)
            return [];
        return fields.Text("type") == "Sequence" ? fields.Objects(key).SelectMany(part => Steps(part, key)) : [fields];
    }

    private static bool IsPrepend(JsonFields step) =>
        step.Text("type") == "Prepend" && step.Text("prepend") == Replacement;

    private static bool IsReplace(JsonFields step) =>
        step.Text("type") == "Replace"
        && step.Object("pattern")?.Text("String") == " "
        && step.Text("content") == Replacement;

    private static bool IsSplitAtSpaces(JsonFields step) =>
        step.Text("type") == "Split" && step.Object("pattern")?.Text("String") == " ";

    private static bool IsMetaspace(JsonFields step) =>
        step.Text("type") == "Metaspace"
        && (step.Text("replacement") ?? Replacement) == Replacement
        && step.Boolean("split") == false;
}
