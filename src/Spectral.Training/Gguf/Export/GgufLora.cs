using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Gguf.Architectures;
using Spectral.Training.IO;
using Spectral.Training.Models;
using Spectral.Training.Numerics;

namespace Spectral.Training.Gguf.Export;

/// <summary>
/// Writes an adapter whose form is low-rank terms only as a plain LoRA in GGUF, which llama.cpp adds to the GGUF file
/// of the adapter's base model.
/// </summary>
/// <example>
/// <code>
/// using var folder = ModelFolder.Open(modelPath);
/// GgufResult made = GgufLora.Write(folder, adapterPath, Path.Combine(outputPath, "lora.gguf"), device);
/// </code>
/// </example>
public static class GgufLora
{
    /// <summary>Writes the adapter. Layers of a smaller rank than the largest are padded with zeros.</summary>
    /// <param name="model">The base model's folder.</param>
    /// <param name="adapterDirectory">The adapter's folder.</param>
    /// <param name="path">The file to write, which is replaced if it exists.</param>
    /// <param name="device">The device to compute the factors on.</param>
    /// <param name="type">The type of the factors: F32, F16 or BF16.</param>
    /// <param name="cancellation">Checked between layers.</param>
    /// <exception cref="InputException">
    /// The adapter has no equal plain LoRA or does more than change layers that llama.cpp adapts, the model's family is
    /// none of llama.cpp's, or a value is not finite or too large for the type.
    /// </exception>
    public static GgufResult Write(
        ModelFolder model,
        string adapterDirectory,
        string path,
        Device device,
        GgufType type = GgufType.F32,
        CancellationToken cancellation = default
    )
    {
        if (type == GgufType.Q8)
            throw new InputException("--dtype \"q8_0\": expected f32, f16 or bf16 for the factors of a LoRA");
        GgufArchitecture architecture = GgufArchitectures.Of(model.Config, model.Directory);
        using PlainLoraConversion adapter = new(adapterDirectory, device, model);
        Check(model, adapterDirectory, adapter);
        int rank = adapter.Modules.Max(module => module.Form.Rank);
        GgufMetadata metadata = new();
        metadata.Add("general.architecture", architecture.Name);
        metadata.Add("general.type", "adapter");
        metadata.Add("general.file_type", (int)type.FileCode());
        metadata.Add("adapter.type", "lora");
        metadata.Add("adapter.lora.alpha", (double)rank); // llama.cpp scales by alpha / rank
        var layers = adapter.Modules.ToDictionary(module => $"{module.Shape.Name}.weight", Factors);
        GgufSource[] adapted =
        [
            .. GgufSource.Of(architecture, model.Config).Where(source => source.Parts.Any(layers.ContainsKey)),
        ];
        CheckAdapted(architecture, adapterDirectory, adapted);
        GgufTensor[] tensors = [.. adapted.SelectMany(source => Tensors(source, layers, rank, type))];
        GgufWriter.Write(path, metadata, tensors);
        return new GgufResult(tensors.Length, type, []);

        LoraFactors Factors(AdaptedModule module)
        {
            LoraFactors factors = adapter.Same(module, rank);
            return factors with
            {
                Right = size =>
                {
                    cancellation.ThrowIfCancellationRequested();
                    return factors.Right(size);
                },
            };
        }
    }

    private static void Check(ModelFolder model, string directory, PlainLoraConversion adapter)
    {
        string? more = adapter switch
        {
            { Saved: [var saved, ..] } => $"trains {saved.Module} beside the LoRA",
            _ when adapter.Modules.FirstOrDefault(module => module.TrainsBias) is { } biased =>
                $"trains the bias of {biased.Shape.Name}",
            _ when model.Config.TieWordEmbeddings && adapter.Modules.FirstOrDefault(IsTable) is { } table =>
                $"changes {table.Shape.Name}, which is embedding and head in one",
            _ => null,
        };
        if (more is not null)
            throw Refused(directory, more);
    }

    private static void CheckAdapted(GgufArchitecture architecture, string directory, GgufSource[] adapted)
    {
        foreach (string module in architecture.NotAdapted)
        {
            string end = $".{module}.weight";
            GgufSource? stop = Array.Find(adapted, source => source.Name.EndsWith(end, StringComparison.Ordinal));
            if (stop is not null)
                throw Refused(directory, $"changes {ModelTensors.ModuleOf(stop.Parts[0])}");
        }
    }

    private static InputException Refused(string directory, string what) =>
        new(
            $"{directory}: the adapter {what}, which a LoRA of llama.cpp cannot hold; merge it instead (spectral "
                + "merge --format gguf)"
        );

    private static bool IsTable(AdaptedModule module) =>
        module.Shape.IsEmbedding || ModelFamilies.IsHead(module.Shape.Name);

    private static IEnumerable<GgufTensor> Tensors(
        GgufSource source,
        IReadOnlyDictionary<string, LoraFactors> layers,
        int rank,
        GgufType type
    )
    {
        (long outputs, long inputs) = (source.Shape[^2], source.Shape[^1]);
        if (layers.TryGetValue(source.Parts[0], out LoraFactors? only) && only.Module.Shape.IsEmbedding)
        {
            // Rows of an embedding are looked up, not multiplied: llama.cpp looks up A and multiplies by B.
            yield return Factor("lora_a", [outputs, rank], _ => only.Left(rank));
            yield return Factor(
                "lora_b",
                [inputs, rank],
                _ => HostMatrix.Transposed(only.Right(rank), rank, (int)inputs)
            );
            yield break;
        }
        // Experts that are not adapted have factors of zeros in the stack.
        long[] stack = [.. source.Shape.SkipLast(2)];
        yield return Factor(
            "lora_a",
            [.. stack, rank, inputs],
            part => layers.TryGetValue(part, out LoraFactors? layer) ? layer.Right(rank) : new float[rank * inputs]
        );
        yield return Factor(
            "lora_b",
            [.. stack, outputs, rank],
            part =>
                layers.TryGetValue(part, out LoraFactors? layer)
                    ? source.Arrange(layer.Left(rank))
                    : new float[outputs * rank]
        );

        GgufTensor Factor(string leaf, long[] shape, Func<string, float[]> read) =>
            new($"{source.Name}.{leaf}", type, shape, () => source.Parts.Select(read));
    }
}
