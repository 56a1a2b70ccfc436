using Spectral.Kernels.Quantization;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Names a weight that a product only reads: columns of a tensor, or a quantised matrix. Both convert to it, and so
/// does a tensor.
/// </summary>
public readonly record struct FrozenWeight
{
    private readonly ColumnRange _columns;

    private FrozenWeight(ColumnRange columns, QuantizedMatrix? quantized) =>
        (_columns, Quantized) = (columns, quantized);

    /// <summary>Number of rows of the weight.</summary>
    public int Rows => Quantized?.Rows ?? _columns.Rows;

    /// <summary>Number of columns of the weight.</summary>
    public int Columns => Quantized?.Columns ?? _columns.Count;

    /// <summary>The quantised matrix; null where the weight is columns of a tensor.</summary>
    public QuantizedMatrix? Quantized { get; }

    /// <summary>The columns of a tensor.</summary>
    /// <exception cref="ArgumentException">The weight is quantised.</exception>
    public ColumnRange Dense =>
        Quantized is null
            ? _columns
            : throw new ArgumentException($"the weight is {Quantized.Layout.Format.Name()}, expected F32 or BF16");

    /// <summary>Device that holds the weight.</summary>
    internal Device Device => Quantized?.Device ?? _columns.Matrix.Device;

    /// <summary>Type of the tensor; null where the weight is quantised.</summary>
    internal DType? Type => Quantized is null ? _columns.Matrix.DType : null;

    /// <summary>
    /// Checks that the weight is a whole matrix of floats, and returns its tensor; null where it is quantised.
    /// </summary>
    /// <exception cref="ArgumentException">It is columns of a wider matrix, no matrix, or of another type.</exception>
    internal Tensor? Whole(string name)
    {
        if (Quantized is not null)
        {
            ObjectDisposedException.ThrowIf(Quantized.IsDisposed, Quantized);
            return null;
        }

        Tensor matrix = _columns.Matrix;
        Check.Floating(matrix, [-1, -1], name);
        return _columns.IsWhole
            ? matrix
            : throw new ArgumentException($"{name} is columns of {matrix.Shape}, expected all of them", name);
    }

    /// <summary>Takes columns of a tensor.</summary>
    public static implicit operator FrozenWeight(ColumnRange columns) => new(columns, null);

    /// <summary>Takes all columns of a tensor.</summary>
    public static implicit operator FrozenWeight(Tensor matrix) => new(matrix, null);

    /// <summary>Takes a quantised matrix.</summary>
    public static implicit operator FrozenWeight(QuantizedMatrix matrix) => new(default, matrix);

    /// <summary>
    /// Checks that the weight is on the device of an operand and, unless it is quantised, has its type.
    /// </summary>
    /// <exception cref="ArgumentException">Type or device does not fit.</exception>
    internal void Verify(in ColumnRange like, string name, string likeName)
    {
        if (Quantized is null)
        {
            Check.Operand(_columns, like, [-1, -1], name, likeName);
            return;
        }

        ObjectDisposedException.ThrowIf(Quantized.IsDisposed, Quantized);
        Check.SameDevice(Quantized.Device, like.Matrix, name);
    }
}
