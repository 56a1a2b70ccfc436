namespace Spectral.Kernels.Ops;

/// <summary>
/// Names a range of columns of a matrix, as where operands of several layers stand side by side in one. A tensor
/// converts to all of its columns.
/// </summary>
/// <param name="Matrix">Matrix [rows, any] that holds the columns.</param>
/// <param name="From">Index of the first column.</param>
/// <param name="Count">Number of columns in the range.</param>
public readonly record struct ColumnRange(Tensor Matrix, int From, int Count)
{
    /// <summary>Takes all columns of a matrix, and none of a tensor that is not a matrix.</summary>
    public static implicit operator ColumnRange(Tensor matrix) =>
        new(matrix, 0, matrix.Shape.Rank == 2 ? matrix.Dim(1) : 0);

    /// <summary>Number of rows of the matrix.</summary>
    public int Rows => Matrix.Dim(0);

    /// <summary>Distance from one row to the next, in elements.</summary>
    public int Stride => Matrix.Dim(1);

    /// <summary>Device address of the first element of the range.</summary>
    public ulong Pointer => Matrix.Pointer + (ulong)(From * Matrix.DType.Size());

    /// <summary>Copies the columns into a matrix of their own, which the caller disposes.</summary>
    public Tensor Copy()
    {
        var copy = Tensor.Empty(Matrix.Device, (Rows, Count), Matrix.DType);
        CopyBlock.Run(this, copy, 0, 0);
        return copy;
    }

    /// <summary>Whether the range is all columns of the matrix.</summary>
    internal bool IsWhole => Count == Stride;

    internal GemmOperand Operand => new(Matrix, From, Math.Max(1, Stride));
}
