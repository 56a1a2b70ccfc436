using Spectral.Training.Gguf.Architectures;
using Spectral.Training.Gguf.Tokenizers;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Export;

/// <summary>
/// Writes a model as one GGUF file, which llama.cpp and programs built on it load: weights, sizes, tokenizer and chat
/// template.
/// </summary>
/// <example>
/// <code>
/// using var folder = ModelFolder.Open(modelPath);
/// GgufResult made = GgufModel.Write(folder, Path.Combine(outputPath, "model.gguf"), GgufType.Q8);
/// </code>
/// </example>
public static class GgufModel
{
    private const int QuantizationVersion = 2; // of ggml's blocks

    /// <summary>Writes a model folder as it is. One matrix is in memory at a time.</summary>
    /// <param name="model">The model's folder.</param>
    /// <param name="path">The file to write, which is replaced if it exists.</param>
    /// <param name="type">The type of the matrices; null: that of the embedding in the folder.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <exception cref="InputException">
    /// llama.cpp cannot compute such a model or has no such tokenizer, or a value is not finite or too large for the
    /// type.
    /// </exception>
    public static GgufResult Write(
        ModelFolder model,
        string path,
        GgufType? type = null,
        CancellationToken cancellation = default
    ) =>
        Write(
            model,
            model.Config,
            path,
            type,
            name =>
            {
                cancellation.ThrowIfCancellationRequested();
                return model.Untied(name).ToFloats();
            }
        );

    /// <summary>Writes a model with the tokenizer of a folder and weights of its own.</summary>
    /// <param name="model">The folder with the tokenizer.</param>
    /// <param name="config">The config of the result.</param>
    /// <param name="path">The file to write.</param>
    /// <param name="type">The type of the matrices; null: that of the embedding in the folder.</param>
    /// <param name="values">Returns the values of a tensor of the checkpoint, matrices as [out, in].</param>
    internal static GgufResult Write(
        ModelFolder model,
        ModelConfig config,
        string path,
        GgufType? type,
        Func<string, float[]> values
    )
    {
        GgufArchitecture architecture = GgufArchitectures.Of(config, model.Directory);
        GgufType file = type ?? GgufTypes.Of(model[config.Family.EmbeddingWeight].Type);
        List<string> warnings = [.. architecture.Warnings(config).Select(line => $"{model.Directory}: {line}")];
        GgufMetadata metadata = new();
        metadata.Add("general.architecture", architecture.Name);
        metadata.Add("general.type", "model");
        metadata.Add(
            "general.name",
            Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model.Directory)))
        );
        metadata.Add("general.file_type", (int)file.FileCode());
        metadata.Add("general.quantization_version", QuantizationVersion);
        architecture.Describe(config, metadata);
        TokenizerKeys.Add(model.Directory, config, metadata, warnings);
        GgufTensor[] tensors =
        [
            .. GgufSource.Of(architecture, config).Select(source => Tensor(source, file, values)),
            .. architecture.Extras(config),
        ];
        GgufWriter.Write(path, metadata, tensors);
        return new GgufResult(tensors.Length, file, warnings);
    }

    private static GgufTensor Tensor(GgufSource source, GgufType file, Func<string, float[]> values) =>
        new(
            source.Name,
            source.TypeIn(file),
            source.Shape,
            () => source.Parts.Select(part => source.Arrange(values(part)))
        );
}
