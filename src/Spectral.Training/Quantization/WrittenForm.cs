using System.Text.Json.Nodes;
using Spectral.Kernels;
using Spectral.Kernels.Quantization;
using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>A way to write quantised weights so that other programs load them.</summary>
internal abstract class WrittenForm
{
    /// <summary>The formats of codes that are written so.</summary>
    public abstract IReadOnlyList<WeightFormat> Formats { get; }

    /// <summary>Lists the tensors of a weight, codes first.</summary>
    /// <param name="format">The format of the codes.</param>
    /// <param name="rows">The rows of the weight.</param>
    /// <param name="columns">The columns of the weight.</param>
    /// <param name="isNested">Whether scales are quantised too.</param>
    /// <param name="type">The type that the weight had.</param>
    public abstract IReadOnlyList<WrittenPart> Parts(
        WeightFormat format,
        int rows,
        int columns,
        bool isNested,
        StoredType type
    );

    /// <summary>Makes the settings for <c>config.json</c>.</summary>
    /// <param name="format">The format of the codes.</param>
    /// <param name="isNested">Whether scales are quantised too.</param>
    /// <param name="type">The type that most weights had.</param>
    /// <param name="plain">The modules whose weights are not quantised.</param>
    public abstract JsonObject Settings(
        WeightFormat format,
        bool isNested,
        StoredType type,
        IReadOnlyList<string> plain
    );

    /// <summary>Makes a part of the weight's codes.</summary>
    protected static WrittenPart Codes(StoredType type, params long[] shape) =>
        new(StoredForm.Weight, type, shape, matrix => BytesOf(matrix.Codes));

    /// <summary>Makes a part of the weight's scales, in F32.</summary>
    protected static WrittenPart Scales(string name, params long[] shape) =>
        new(name, StoredType.F32, shape, matrix => BytesOf(matrix.Scales!));

    /// <summary>Copies what a tensor holds from its device.</summary>
    protected static byte[] BytesOf(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        tensor.CopyTo(bytes.AsSpan());
        return bytes;
    }

    /// <summary>Makes a list for JSON.</summary>
    protected static JsonArray ListOf(IEnumerable<string> texts) => [.. texts.Select(text => JsonValue.Create(text))];
}
