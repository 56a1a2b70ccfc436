namespace Spectral.Training.IO;

/// <summary>
/// Values of a tensor that no file has as they are, but that follow from stored tensors, as those of a quantised weight
/// do. They are computed whenever they are read.
/// </summary>
/// <param name="name">The name of the tensor.</param>
/// <param name="type">The type that stands for the values' precision.</param>
/// <param name="shape">The dimensions, outermost first.</param>
/// <param name="parts">The stored tensors, the main one first.</param>
internal abstract class ComputedValues(
    string name,
    StoredType type,
    IReadOnlyList<long> shape,
    IReadOnlyList<SafetensorsTensor> parts
)
{
    /// <summary>The name of the tensor.</summary>
    public string Name { get; } = name;

    /// <summary>The type that stands for the values' precision.</summary>
    public StoredType Type { get; } = type;

    /// <summary>The dimensions, outermost first.</summary>
    public IReadOnlyList<long> Shape { get; } = shape;

    /// <summary>The stored tensors, the main one first.</summary>
    public IReadOnlyList<SafetensorsTensor> Parts { get; } = parts;

    /// <summary>Computes values in F32 from an index on, row by row, as many as the destination holds.</summary>
    /// <exception cref="InputException">What is stored makes no finite number.</exception>
    public abstract void ReadFloats(long start, Span<float> destination);
}
