namespace Spectral.Training.IO;

/// <summary>
/// Values of a matrix that no file has as they are, but that follow from stored tensors, as those of a quantised weight
/// do. They are computed whenever they are read.
/// </summary>
/// <param name="name">The name of the matrix.</param>
/// <param name="type">The type that stands for the values' precision.</param>
/// <param name="rows">The number of rows.</param>
/// <param name="columns">The number of columns.</param>
/// <param name="parts">The stored tensors, the main one first.</param>
internal abstract class ComputedValues(
    string name,
    StoredType type,
    int rows,
    int columns,
    IReadOnlyList<SafetensorsTensor> parts
)
{
    /// <summary>The name of the matrix.</summary>
    public string Name { get; } = name;

    /// <summary>The type that stands for the values' precision.</summary>
    public StoredType Type { get; } = type;

    /// <summary>The number of rows.</summary>
    public int Rows { get; } = rows;

    /// <summary>The number of columns.</summary>
    public int Columns { get; } = columns;

    /// <summary>The stored tensors, the main one first.</summary>
    public IReadOnlyList<SafetensorsTensor> Parts { get; } = parts;

    /// <summary>Computes values in F32 from an index on, row by row, as many as the destination holds.</summary>
    /// <exception cref="InputException">What is stored makes no finite number.</exception>
    public abstract void ReadFloats(long start, Span<float> destination);
}
