namespace Spectral.Training.Gguf;

/// <summary>A tensor for <see cref="GgufWriter"/>. Its values are computed when they are written.</summary>
/// <param name="Name">The name that llama.cpp looks for.</param>
/// <param name="Type">The type in the file.</param>
/// <param name="Shape">The dimensions, outermost first; the file has them the other way round.</param>
/// <param name="Pieces">
/// Returns the values, row by row, in pieces of whole rows. Each is written before the next is requested.
/// </param>
internal sealed record GgufTensor(
    string Name,
    GgufType Type,
    IReadOnlyList<long> Shape,
    Func<IEnumerable<float[]>> Pieces
)
{
    /// <summary>The number of values.</summary>
    public long Count => Shape.Aggregate(1L, (product, dimension) => checked(product * dimension));

    /// <summary>The number of bytes in the file, without padding.</summary>
    public long Bytes => Type.Bytes(Count);

    /// <summary>Creates a vector, which is F32 in every file.</summary>
    public static GgufTensor Vector(string name, float[] values) =>
        new(name, GgufType.F32, [values.Length], () => [values]);
}
