namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>low_rank_reduce_rows</c>: partial results of z or g added up, and a scaled copy.</summary>
public struct LowRankReduceRowsArgs
{
    /// <summary>Describes <c>low_rank_reduce_rows_f32</c> and <c>low_rank_reduce_rows_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankReduceRowsArgs> Kernel = new(
        "low_rank_reduce",
        256,
        "low_rank_reduce_rows_f32",
        "low_rank_reduce_rows_bf16"
    );

    /// <summary>Device address of the partial sums, [Shares, Count] F32.</summary>
    public ulong Partial;

    /// <summary>Device address of the middle diagonal c, [Columns] F32; 0: ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of the sums, [Count / Columns, Columns], element type of the entry, rows
    /// <see cref="ResultStride"/> apart; written; 0: not wanted.
    /// </summary>
    public ulong Result;

    /// <summary>
    /// Device address of the copy Scale · c ∘ sums, element type of the entry, rows <see cref="ScaledStride"/> apart;
    /// written; 0: not wanted.
    /// </summary>
    public ulong Scaled;

    /// <summary>Elements of one share.</summary>
    public long Count;

    /// <summary>Columns of a row.</summary>
    public int Columns;

    /// <summary>Elements from one row of the sums to the next.</summary>
    public int ResultStride;

    /// <summary>Elements from one row of the scaled copy to the next.</summary>
    public int ScaledStride;

    /// <summary>Partial sums per element.</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_reduce_gradient</c>: partial gradients of L or R added up.</summary>
public struct LowRankReduceGradientArgs
{
    /// <summary>Describes <c>low_rank_reduce_gradient_f32</c>.</summary>
    public static readonly KernelEntry<LowRankReduceGradientArgs> Kernel = new(
        "low_rank_reduce",
        256,
        "low_rank_reduce_gradient_f32"
    );

    /// <summary>Device address of the partial sums, [Shares, Stride] F32.</summary>
    public ulong Partial;

    /// <summary>Device address of the middle diagonal c, [Columns] F32; 0: ones.</summary>
    public ulong Middle;

    /// <summary>Device address of the gradient, [Count] F32, rows of the last Columns − From columns.</summary>
    public ulong Destination;

    /// <summary>Elements of the gradient.</summary>
    public long Count;

    /// <summary>Elements of one share.</summary>
    public long Stride;

    /// <summary>Columns of a partial sum's row.</summary>
    public int Columns;

    /// <summary>First column that the gradient has.</summary>
    public int From;

    /// <summary>Partial sums per element.</summary>
    public int Shares;

    /// <summary>Factor of the sums.</summary>
    public float Scale;

    /// <summary>1: add to what the gradient holds; 0: overwrite.</summary>
    public int Accumulate;
}

/// <summary>Arguments of <c>low_rank_scale_columns</c>: <c>scaled = scale · source · diag(middle)</c>.</summary>
public struct LowRankScaleColumnsArgs
{
    /// <summary>Describes <c>low_rank_scale_columns_f32</c> and <c>low_rank_scale_columns_bf16</c>.</summary>
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

    /// <summary>Device address of the middle diagonal, [Columns] F32; 0: ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of the result, [Rows, Columns], element type of the entry, rows <see cref="ScaledStride"/> apart;
    /// written.
    /// </summary>
    public ulong Scaled;

    /// <summary>Rows of the source.</summary>
    public int Rows;

    /// <summary>Columns of the source.</summary>
    public int Columns;

    /// <summary>Elements from one row of the source to the next.</summary>
    public int SourceStride;

    /// <summary>Elements from one row of the result to the next.</summary>
    public int ScaledStride;

    /// <summary>Factor of all columns.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_middle_partial</c>: column sums of g ∘ z over 32 rows at a time.</summary>
public struct LowRankMiddlePartialArgs
{
    /// <summary>Describes <c>low_rank_middle_partial_f32</c> and <c>low_rank_middle_partial_bf16</c>.</summary>
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

    /// <summary>Rows of g and z.</summary>
    public int Rows;

    /// <summary>Elements from one row of g to the next.</summary>
    public int GStride;

    /// <summary>Elements from one row of z to the next.</summary>
    public int ZStride;

    /// <summary>Columns that are summed, the first ones.</summary>
    public int Count;
}

/// <summary>
/// Arguments of <c>low_rank_middle_gradient</c>: the partial sums added up to the gradient of the middle diagonal.
/// </summary>
public struct LowRankMiddleGradientArgs
{
    /// <summary>Describes <c>low_rank_middle_gradient_f32</c>.</summary>
    public static readonly KernelEntry<LowRankMiddleGradientArgs> Kernel = new(
        "low_rank_reduce",
        256,
        "low_rank_middle_gradient_f32"
    );

    /// <summary>Device address of the partial sums, [Chunks, Count] F32.</summary>
    public ulong Partial;

    /// <summary>Device address of the gradient, [Count] F32.</summary>
    public ulong Destination;

    /// <summary>Partial sums per entry.</summary>
    public int Chunks;

    /// <summary>Entries of the diagonal.</summary>
    public int Count;

    /// <summary>Factor of the sums.</summary>
    public float Scale;

    /// <summary>1: add to what the gradient holds; 0: overwrite.</summary>
    public int Accumulate;
}
