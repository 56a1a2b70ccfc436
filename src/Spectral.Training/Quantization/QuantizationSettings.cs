using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>What a model's <c>config.json</c> says about quantised weights.</summary>
internal sealed class QuantizationSettings
{
    private static readonly string[] SkippedKeys = ["llm_int8_skip_modules", "modules_to_not_convert", "ignore"];

    private readonly IReadOnlyList<string> _skipped;

    private QuantizationSettings(string path, string key, JsonFields fields, StoredType? denseType)
    {
        (Path, Key, Fields) = (path, key, fields);
        DenseType = denseType ?? StoredType.BF16;
        Form = StoredForms.Find(fields);
        _skipped = [.. SkippedKeys.SelectMany(skipped => fields.Texts(skipped) ?? [])];
    }

    /// <summary>The config file, for messages.</summary>
    public string Path { get; }

    /// <summary>The key of the settings in it.</summary>
    public string Key { get; }

    /// <summary>The settings as the config has them.</summary>
    public JsonFields Fields { get; }

    /// <summary>How the weights are stored.</summary>
    public StoredForm Form { get; }

    /// <summary>The type that weights had before they were quantised, where their own tensors do not say it.</summary>
    public StoredType DenseType { get; }

    /// <summary>Reads the settings of a config.</summary>
    /// <param name="config">The whole config.</param>
    /// <param name="path">The path of its file.</param>
    /// <returns>The settings; null: the weights are not quantised.</returns>
    /// <exception cref="InputException">Weights are quantised in a way that is not read.</exception>
    public static QuantizationSettings? Read(JsonFields config, string path)
    {
        if (ConfigCopy.QuantizationKeys.FirstOrDefault(key => config.Has(key)) is not { } key)
            return null;
        config.Object(key);
        // A copy lives on when the document of the config is closed.
        JsonFields settings = config.Nested(key, config.Find(key)!.Value.Clone());
        string? type = config.Text("dtype") ?? config.Text("torch_dtype");
        return new QuantizationSettings(path, key, settings, TorchTypes.Find(type));
    }

    /// <summary>
    /// Returns which entry of the lists of modules that are not quantised names a module: its whole name, a module
    /// that holds it, or the end of its name. Patterns are no such names; null: none.
    /// </summary>
    public string? EntryFor(string module) =>
        _skipped.FirstOrDefault(entry =>
            entry.Length > 0 && $".{module}.".Contains($".{entry}.", StringComparison.Ordinal)
        );
}
