namespace Spectral.Kernels.Ops;

/// <summary>
/// Some columns of a matrix: what several layers share stands side by side in one. A tensor converts to all of its
/// columns.
/// </summary>
/// <param name="Matrix">[rows, any].</param>
/// <param name="From">First column.</param>
/// <param name="Count">Number of columns.</param>
public readonly record struct ColumnRange(Tensor Matrix, int From, int Count)
{
    /// <summary>All columns; none when the tensor is no matrix.</summary>
    public static implicit operator ColumnRange(Tensor matrix) =>
        new(matrix, 0, matrix.Shape.Rank == 2 ? matrix.Dim(1) : 0);

    /// <summary>Rows of the matrix.</summary>
    public int Rows => Matrix.Dim(0);

    /// <summary>Elements from one row to the next.</summary>
    public int Stride => Matrix.Dim(1);

    /// <summary>Device address of the first element.</summary>
    public ulong Pointer => Matrix.Pointer + (ulong)(From * Matrix.DType.Size());

    /// <summary>The same values in a matrix of their own, which is the caller's.</summary>
    public Tensor Copy()
    {
        var copy = Tensor.Empty(Matrix.Device, (Rows, Count), Matrix.DType);
        CopyBlock.Run(this, copy, 0, 0);
        return copy;
    }

    internal GemmOperand Operand => new(Matrix, From, Math.Max(1, Stride));
}
