namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>matrix_copy.cu</c>: matrices copied into F32, as stored or transposed.</summary>
public struct MatrixCopyArgs
{
    /// <summary>Describes <c>matrix_copy_f32</c> and <c>matrix_copy_bf16</c>.</summary>
    public static readonly KernelEntry<MatrixCopyArgs> Copy = new(
        "matrix_copy",
        256,
        "matrix_copy_f32",
        "matrix_copy_bf16"
    );

    /// <summary>Describes <c>matrix_transpose_f32</c> and <c>matrix_transpose_bf16</c>.</summary>
    public static readonly KernelEntry<MatrixCopyArgs> Transpose = new(
        "matrix_copy",
        256,
        "matrix_transpose_f32",
        "matrix_transpose_bf16"
    );

    /// <summary>
    /// Device address of x, [Rows, Columns], element type of the entry; transposed ones may be a batch, one after the
    /// other. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of y, F32: the shape of x, or [Columns, Rows]; written. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Rows of x.</summary>
    public int Rows;

    /// <summary>Columns of x.</summary>
    public int Columns;

    /// <summary>Factor of every element, a power of two.</summary>
    public float Scale;
}
