namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>matrix_copy.cu</c>: matrices converted to F32, as stored or transposed.</summary>
public struct MatrixCopyArgs : IBatchArgs
{
    /// <summary>
    /// The kernels that copy, by the type of x, <c>matrix_copy_f32</c> and <c>matrix_copy_bf16</c>; one thread per 4
    /// elements.
    /// </summary>
    public static readonly KernelEntry<MatrixCopyArgs> Copy = new(
        "matrix_copy",
        256,
        "matrix_copy_f32",
        "matrix_copy_bf16"
    );

    /// <summary>
    /// The kernels that transpose, by the type of x, <c>matrix_transpose_f32</c> and <c>matrix_transpose_bf16</c>; one
    /// thread per element of y (grid x), one matrix of a batch per grid y.
    /// </summary>
    public static readonly KernelEntry<MatrixCopyArgs> Transpose = new(
        "matrix_copy",
        256,
        "matrix_transpose_f32",
        "matrix_transpose_bf16"
    );

    /// <summary>
    /// Device address of x, [Rows, Columns], element type of the entry; to transpose, a batch of them may follow one
    /// another. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of y, F32: the shape of x, or [Columns, Rows]; written. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of rows of x.</summary>
    public int Rows;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Power of two that every element is multiplied by.</summary>
    public float Scale;

    // Batches are of F32.
    void IBatchArgs.Skip(int matrices)
    {
        X = Launch.Skip(X, (long)matrices * Rows * Columns);
        Y = Launch.Skip(Y, (long)matrices * Rows * Columns);
    }
}
