using Spectral.Kernels;
using Spectral.Training.Adapters;
using Spectral.Training.Gguf;
using Spectral.Training.Gguf.Export;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Merging;

/// <summary>
/// Merges an adapter into its base model. The result is a plain checkpoint that needs no adapter code.
/// </summary>
/// <example>
/// <code>
/// using var folder = ModelFolder.Open(modelPath);
/// int tensors = Merger.Merge(folder, adapterPath, outputPath, device, type: StoredType.BF16);
/// </code>
/// </example>
public static class Merger
{
    /// <summary>Writes the merged model folder, tensor by tensor.</summary>
    /// <remarks>
    /// W + ΔW is accumulated in F32 and rounded once to the type of the result. All other tensors are copied bit for
    /// bit, unless <paramref name="type"/> differs from theirs. Quantised weights of the base, and those of a folder
    /// that was opened to be quantised, count as their values and are written as such, in the type that they had
    /// before. Only one tensor is in memory at a time, and the result has as many files of weights as the base. Modules
    /// that the adapter saved whole replace those of the base. If head and embedding, tied in the base, differ in the
    /// result, it has both, and its config says so.
    /// </remarks>
    /// <param name="model">The base model's folder.</param>
    /// <param name="adapterDirectory">The adapter's folder.</param>
    /// <param name="directory">An existing folder for the result.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <param name="type">
    /// The type of all floating point tensors in the result and in its config; null: each as in the base.
    /// </param>
    /// <returns>The number of tensors written.</returns>
    /// <exception cref="InputException">
    /// The adapter cannot be used or was made for another model; or a value is not finite, or too large for the type of
    /// the result.
    /// </exception>
    public static int Merge(
        ModelFolder model,
        string adapterDirectory,
        string directory,
        Device device,
        CancellationToken cancellation = default,
        StoredType? type = null
    ) =>
        Merge(
            model,
            adapterDirectory,
            directory,
            device,
            cancellation,
            type,
            new Dictionary<string, Action<float[]>>()
        );

    /// <summary>
    /// Writes the merged model as one GGUF file for llama.cpp. W + ΔW is accumulated in F32 and rounded once; one
    /// matrix is in memory at a time.
    /// </summary>
    /// <param name="model">The base model's folder, with its tokenizer.</param>
    /// <param name="adapterDirectory">The adapter's folder.</param>
    /// <param name="path">The file to write, which is replaced if it exists.</param>
    /// <param name="device">The device to compute on.</param>
    /// <param name="type">The type of the matrices; null: that of the embedding in the base.</param>
    /// <param name="cancellation">Checked between tensors.</param>
    /// <exception cref="InputException">
    /// The adapter cannot be used or was made for another model; llama.cpp cannot compute such a model or has no such
    /// tokenizer; or a value is not finite, or too large for the type.
    /// </exception>
    public static GgufResult WriteGguf(
        ModelFolder model,
        string adapterDirectory,
        string path,
        Device device,
        GgufType? type = null,
        CancellationToken cancellation = default
    )
    {
        using AdapterSource adapter = new(model, adapterDirectory, device);
        ModelConfig config = adapter.Parts ? model.Config with { TieWordEmbeddings = false } : model.Config;
        return GgufModel.Write(model, config, path, type, Values);

        float[] Values(string name)
        {
            cancellation.ThrowIfCancellationRequested();
            return adapter.Changes(name) ? adapter.Values(name) : model.ReadRounded(model.Untied(name), device);
        }
    }

    /// <summary>
    /// Writes the merged model folder as the public overload does; <paramref name="output"/> quantises linear layers,
    /// null: none is. Without an adapter the result is the base, rewritten.
    /// </summary>
    internal static int Merge(
        ModelFolder model,
        string? adapterDirectory,
        string directory,
        Device device,
        CancellationToken cancellation,
        StoredType? type,
        QuantizedOutput? output
    ) =>
        Merge(
            model,
            adapterDirectory,
            directory,
            device,
            cancellation,
            type,
            new Dictionary<string, Action<float[]>>(),
            output
        );

    /// <summary>
    /// Writes the merged model folder as the public overload does, with some tensors corrected before they are rounded:
    /// <paramref name="corrections"/> has, by the name of a tensor, what changes its merged values in place;
    /// <paramref name="output"/> quantises linear layers, null: none is.
    /// </summary>
    internal static int Merge(
        ModelFolder model,
        string? adapterDirectory,
        string directory,
        Device device,
        CancellationToken cancellation,
        StoredType? type,
        IReadOnlyDictionary<string, Action<float[]>> corrections,
        QuantizedOutput? output = null
    )
    {
        using AdapterSource? adapter = adapterDirectory is null ? null : new(model, adapterDirectory, device);
        bool parts = adapter?.Parts ?? false;
        ModelFamily family = model.Config.Family;
        var used = (parts ? ModelTensors.Untied(model.Config) : ModelTensors.For(model.Config))
            .Select(tensor => tensor.Name)
            .ToHashSet();
        string[] names =
        [
            .. model.TensorNames.Union(parts ? [model.Config.HeadWeight] : []).Order(StringComparer.Ordinal),
        ];
        (TensorToWrite Tensor, SafetensorsTensor Source)[] written =
        [
            .. names.SelectMany(name => Written(name).Select(tensor => (tensor.StoppedBy(cancellation), Source(name)))),
        ];
        WeightShards.Write(directory, written);
        ConfigCopy.Write(model.Directory, directory, type, parts || model.IsUntied, output?.Settings(type));
        ModelCompanions.Copy(model.Directory, directory);
        return written.Length;

        IEnumerable<TensorToWrite> Written(string name)
        {
            if (output is null || !output.Takes(name))
                return [Merged(name, type)];
            bool isChanged = (adapter?.Changes(name) ?? false) || corrections.ContainsKey(name);
            return output.Tensors(Source(name), Merged(name, StoredType.F32), isChanged, type);
        }

        TensorToWrite Merged(string name, StoredType? type)
        {
            // A redundant copy of a tied embedding follows the embedding.
            if (name == model.Config.HeadWeight && model.Config.TieWordEmbeddings && !parts)
                return Merged(family.EmbeddingWeight, type) with { Name = name };
            if (adapter?.Changes(name) ?? false)
                return Floats(name, type, () => adapter.Values(name));
            if (corrections.ContainsKey(name) || model.IsRounded(Source(name)))
                return Floats(name, type, () => model.ReadRounded(Source(name), device));
            return Unchanged(Source(name), name, type, isUsed: used.Contains(name));
        }

        TensorToWrite Floats(string name, StoredType? type, Func<float[]> values) =>
            TensorToWrite.Floats(
                name,
                type ?? Source(name).Type,
                Source(name).Shape,
                () =>
                {
                    float[] merged = values();
                    corrections.GetValueOrDefault(name)?.Invoke(merged);
                    return merged;
                }
            );

        SafetensorsTensor Source(string name) => parts ? model.Untied(name) : model[name];
    }

    /// <summary>
    /// Returns a tensor of the base as it is: bit for bit, or in another type, or with the values of a quantised
    /// weight. What a model uses is checked to be finite.
    /// </summary>
    internal static TensorToWrite Unchanged(SafetensorsTensor source, string name, StoredType? type, bool isUsed)
    {
        if (type is { } other && source.Type.IsFloat() && source.Type != other)
            return TensorToWrite.Floats(name, other, source.Shape, source.ToFloats);
        var copy = TensorToWrite.Copy(source, name);
        if (!isUsed || source.Computed is not null)
            return copy;
        return copy with
        {
            Write = stream =>
            {
                source.RequireFinite();
                copy.Write(stream);
            },
        };
    }

    /// <exception cref="InputException">The change of a module is not a change of its weight.</exception>
    internal static void RequireMergeable(AdapterReader adapter, string adapterDirectory)
    {
        if (adapter.Modules.FirstOrDefault(module => !module.Form.IsMergeable) is { } other)
        {
            throw new InputException(
                $"{adapterDirectory}: the {adapter.Method.Name} adapter of {other.Shape.Name} is not a "
                    + "change of its weight, so it cannot be merged"
            );
        }
    }

    /// <summary>Computes W + ΔW of one module in F32, [out, in].</summary>
    internal static float[] MergedWeight(
        ModelFolder model,
        AdapterReader adapter,
        AdaptedModule module,
        Device device
    ) => AdapterSource.Compute(model, adapter, module, device, core => core.MergedWeight());
}
