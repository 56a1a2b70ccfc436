namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>low_rank_reduce_rows</c>: partial sums of z or g added up, and a scaled copy of the result.
/// </summary>
public struct LowRankReduceRowsArgs
{
    /// <summary>
    /// The kernels by the type of the result, <c>low_rank_reduce_rows_f32</c> and <c>low_rank_reduce_rows_bf16</c>; one
    /// thread per element.
    /// </summary>
    public static readonly KernelEntry<LowRankReduceRowsArgs> Kernel = new(
        "low_rank_reduce",
        256,
        "low_rank_reduce_rows_f32",
        "low_rank_reduce_rows_bf16"
    );

    /// <summary>Device address of the partial sums, [Shares, Count] F32.</summary>
    public ulong Partial;

    /// <summary>Device address of the middle diagonal c, [Columns] F32; 0 for ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of the sums, [Count / Columns, Columns], element type of the entry, rows
    /// <see cref="ResultStride"/> apart; written; 0 if they are not wanted.
    /// </summary>
    public ulong Result;

    /// <summary>
    /// Device address of the scaled copy Scale · c ∘ sums, element type of the entry, rows <see cref="ScaledStride"/>
    /// apart; written; 0 if it is not wanted.
    /// </summary>
    public ulong Scaled;

    /// <summary>Number of elements of one share.</summary>
    public long Count;

    /// <summary>Number of columns of a row.</summary>
    public int Columns;

    /// <summary>Stride between rows of the sums, in elements.</summary>
    public int ResultStride;

    /// <summary>Stride between rows of the scaled copy, in elements.</summary>
    public int ScaledStride;

    /// <summary>Number of partial sums per element.</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_reduce_gradient</c>: partial gradients of L or R added up.</summary>
public struct LowRankReduceGradientArgs
{
    /// <summary>The kernel <c>low_rank_reduce_gradient_f32</c>; one thread per element.</summary>
    public static readonly KernelEntry<LowRankReduceGradientArgs> Kernel = new(
        "low_rank_reduce",
        256,
        "low_rank_reduce_gradient_f32"
    );

    /// <summary>Device address of the partial sums, [Shares, Stride] F32.</summary>
    public ulong Partial;

    /// <summary>Device address of the middle diagonal c, [Columns] F32; 0 for ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of the gradient, [Count] F32, in rows of Columns − From elements: the last columns of the sums;
    /// written or added to.
    /// </summary>
    public ulong Destination;

    /// <summary>Number of elements of the gradient.</summary>
    public long Count;

    /// <summary>Stride between two shares of the partial sums, in elements.</summary>
    public long Stride;

    /// <summary>Number of columns of a partial sum's row.</summary>
    public int Columns;

    /// <summary>First column of the sums that belongs to the gradient.</summary>
    public int From;

    /// <summary>Number of partial sums per element.</summary>
    public int Shares;

    /// <summary>Factor that the sums are multiplied by.</summary>
    public float Scale;

    /// <summary>1 to add to the gradient, 0 to overwrite.</summary>
    public int Accumulate;
}

/// <summary>Arguments of <c>low_rank_scale_columns</c>: <c>scaled = scale · source · diag(middle)</c>.</summary>
public struct LowRankScaleColumnsArgs
{
    /// <summary>
    /// The kernels by element type, <c>low_rank_scale_columns_f32</c> and <c>low_rank_scale_columns_bf16</c>; one
    /// thread per element.
    /// </summary>
    public static readonly KernelEntry<LowRankScaleColumnsArgs> Kernel = new(
        "low_rank_reduce",
        256,
        "low_rank_scale_columns_f32",
        "low_rank_scale_columns_bf16"
    );

    /// <summary>
    /// Device address of the source, [Rows, Columns], element type of the entry, rows <see cref="SourceStride"/> apart.
    /// </summary>
    public ulong Source;

    /// <summary>Device address of the middle diagonal, [Columns] F32; 0 for ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of the result, [Rows, Columns], element type of the entry, rows <see cref="ScaledStride"/> apart;
    /// written.
    /// </summary>
    public ulong Scaled;

    /// <summary>Number of rows of the source.</summary>
    public int Rows;

    /// <summary>Number of columns of the source.</summary>
    public int Columns;

    /// <summary>Stride between rows of the source, in elements.</summary>
    public int SourceStride;

    /// <summary>Stride between rows of the result, in elements.</summary>
    public int ScaledStride;

    /// <summary>Factor that every column is multiplied by.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_middle_partial</c>: column sums of g ∘ z over 32 rows at a time.</summary>
public struct LowRankMiddlePartialArgs
{
    /// <summary>
    /// The kernels by element type, <c>low_rank_middle_partial_f32</c> and <c>low_rank_middle_partial_bf16</c>; one
    /// thread per column and 32 rows.
    /// </summary>
    public static readonly KernelEntry<LowRankMiddlePartialArgs> Kernel = new(
        "low_rank_reduce",
        256,
        "low_rank_middle_partial_f32",
        "low_rank_middle_partial_bf16"
    );

    /// <summary>
    /// Device address of g, [Rows, at least Count], element type of the entry, rows <see cref="GStride"/> apart.
    /// </summary>
    public ulong G;

    /// <summary>
    /// Device address of z, [Rows, at least Count], element type of the entry, rows <see cref="ZStride"/> apart.
    /// </summary>
    public ulong Z;

    /// <summary>Device address of the partial sums, [⌈Rows / 32⌉, Count] F32; written.</summary>
    public ulong Partial;

    /// <summary>Number of rows of g and z.</summary>
    public int Rows;

    /// <summary>Stride between rows of g, in elements.</summary>
    public int GStride;

    /// <summary>Stride between rows of z, in elements.</summary>
    public int ZStride;

    /// <summary>Number of columns to sum, counted from the first.</summary>
    public int Count;
}

/// <summary>
/// Arguments of <c>low_rank_middle_gradient</c>: partial sums added up to the gradient of the middle diagonal.
/// </summary>
public struct LowRankMiddleGradientArgs
{
    /// <summary>The kernel <c>low_rank_middle_gradient_f32</c>; one warp per entry.</summary>
    public static readonly KernelEntry<LowRankMiddleGradientArgs> Kernel = new(
        "low_rank_reduce",
        256,
        "low_rank_middle_gradient_f32"
    );

    /// <summary>Device address of the partial sums, [Chunks, Count] F32.</summary>
    public ulong Partial;

    /// <summary>Device address of the gradient, [Count] F32; written or added to.</summary>
    public ulong Destination;

    /// <summary>Number of partial sums per entry.</summary>
    public int Chunks;

    /// <summary>Number of entries of the diagonal.</summary>
    public int Count;

    /// <summary>Factor that the sums are multiplied by.</summary>
    public float Scale;

    /// <summary>1 to add to the gradient, 0 to overwrite.</summary>
    public int Accumulate;
}
