using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Copies the small files of a model folder besides config and weights: tokenizer, chat template, generation settings.
/// </summary>
internal static class ModelCompanions
{
    private static readonly string[] Names =
    [
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "merges.txt",
        "chat_template.jinja",
        "chat_template.json",
        "generation_config.json",
    ];

    /// <summary>Copies those of the files that exist.</summary>
    public static void Copy(string source, string directory)
    {
        foreach (string name in Names)
        {
            // Opening a special file such as a pipe may block forever. Such files have length 0.
            FileInfo file = new(FolderFile.At(source, name));
            if (file.Exists && file.Length > 0)
                file.CopyTo(Path.Combine(directory, name), overwrite: true);
        }
    }

    /// <summary>
    /// Checks where links among the files lead, so that <see cref="Copy"/> does not fail after training.
    /// </summary>
    /// <exception cref="InputException">A link leads out of the folder.</exception>
    public static void Check(string directory)
    {
        foreach (string name in Names)
            FolderFile.At(directory, name);
    }
}
