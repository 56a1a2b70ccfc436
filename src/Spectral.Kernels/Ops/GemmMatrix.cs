namespace Spectral.Kernels.Ops;

/// <summary>
/// Describes a whole tensor as an operand of <see cref="Gemm"/>: its last dimension is the columns, all others are
/// rows.
/// </summary>
/// <param name="Tensor">The tensor, of rank 1 or more.</param>
/// <param name="Transposed">Whether the product uses its transpose.</param>
public readonly record struct GemmMatrix(Tensor Tensor, bool Transposed = false)
{
    /// <summary>Takes the tensor as it is stored.</summary>
    public static implicit operator GemmMatrix(Tensor tensor) => new(tensor);

    /// <summary>Returns the rows and columns as stored.</summary>
    /// <exception cref="ArgumentException">The tensor is a scalar.</exception>
    internal (int Rows, int Columns) Stored(string name)
    {
        if (Tensor.Shape.Rank == 0)
            throw new ArgumentException($"{name} is a scalar, expected a matrix", name);
        int columns = Tensor.Dim(Tensor.Shape.Rank - 1);
        return (columns == 0 ? Tensor.Dim(0) : checked((int)(Tensor.Count / columns)), columns);
    }

    internal GemmOperand Operand(int columns) => new(Tensor, 0, Math.Max(1, columns), 0, Transposed);
}
