namespace Spectral.Training;

/// <summary>The small files of a model folder besides config and weights: tokenizer, chat template, generation settings.</summary>
internal static class ModelCompanions
{
    private static readonly string[] Names =
    [
        "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", "chat_template.json", "generation_config.json",
    ];

    /// <summary>Copies those that are there.</summary>
    public static void Copy(string source, string directory)
    {
        foreach (string name in Names.Where(name => File.Exists(Path.Combine(source, name))))
            File.Copy(Path.Combine(source, name), Path.Combine(directory, name), overwrite: true);
    }
}
