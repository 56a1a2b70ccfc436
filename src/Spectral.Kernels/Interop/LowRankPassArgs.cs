namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the projections in <c>low_rank_passes.cu</c>: <c>z = x Rᵀ</c>, BF16.</summary>
public struct LowRankProjectArgs
{
    /// <summary>Describes <c>low_rank_project_32_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankProjectArgs> Ranks32 = new(
        "low_rank_passes",
        256,
        "low_rank_project_32_bf16"
    )
    {
        SharedBytes = 81_920,
    };

    /// <summary>Describes <c>low_rank_project_64_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankProjectArgs> Ranks64 = new(
        "low_rank_passes",
        256,
        "low_rank_project_64_bf16"
    )
    {
        SharedBytes = 98_304,
    };

    /// <summary>Describes <c>low_rank_project_128_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankProjectArgs> Ranks128 = new(
        "low_rank_passes",
        256,
        "low_rank_project_128_bf16"
    )
    {
        SharedBytes = 131_072,
    };

    /// <summary>
    /// Device address of x, [Rows, Columns] BF16, rows <see cref="XStride"/> apart. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of R, [Rank, Columns] BF16, rows <see cref="RightStride"/> apart. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Right;

    /// <summary>Device address of the middle diagonal c, [Rank] F32; 0: ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of z, [Rows, Rank] BF16, rows <see cref="ResultStride"/> apart; written; 0: not wanted.
    /// </summary>
    public ulong Z;

    /// <summary>
    /// Device address of the copy Scale · c ∘ z, [Rows, Rank] BF16, rows <see cref="ScaledStride"/> apart; written; 0:
    /// not wanted.
    /// </summary>
    public ulong Scaled;

    /// <summary>
    /// Device address of the partial sums, [Shares, Rows, Rank] F32; written instead of z and the copy when there is
    /// more than one share.
    /// </summary>
    public ulong Partial;

    /// <summary>The mask over x; no state: x as it is.</summary>
    public DropoutSource Dropout;

    /// <summary>Rows of x (tokens).</summary>
    public int Rows;

    /// <summary>Columns of x.</summary>
    public int Columns;

    /// <summary>Rows of R.</summary>
    public int Rank;

    /// <summary>Elements from one row of x to the next.</summary>
    public int XStride;

    /// <summary>Elements from one row of R to the next.</summary>
    public int RightStride;

    /// <summary>Elements from one row of z to the next.</summary>
    public int ResultStride;

    /// <summary>Elements from one row of the scaled copy to the next.</summary>
    public int ScaledStride;

    /// <summary>Parts that the columns are divided into; grid y counts them.</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>
/// Arguments of the output gradients in <c>low_rank_passes.cu</c>: <c>g = dy L</c> and dL from one read of dy, BF16.
/// </summary>
public struct LowRankOutputGradientsArgs
{
    /// <summary>Describes <c>low_rank_output_gradients_32_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankOutputGradientsArgs> Ranks32 = new(
        "low_rank_passes",
        256,
        "low_rank_output_gradients_32_bf16"
    )
    {
        SharedBytes = 147_456,
    };

    /// <summary>Describes <c>low_rank_output_gradients_64_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankOutputGradientsArgs> Ranks64 = new(
        "low_rank_passes",
        256,
        "low_rank_output_gradients_64_bf16"
    )
    {
        SharedBytes = 163_840,
    };

    /// <summary>
    /// Device address of dy, [Rows, Columns] BF16, rows <see cref="DyStride"/> apart. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>Device address of L, [Columns, Rank] BF16. 16-byte alignment allows vector accesses.</summary>
    public ulong Left;

    /// <summary>
    /// Device address of z, [Rows, Rank] BF16, rows <see cref="SkinnyStride"/> apart. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Z;

    /// <summary>Device address of the middle diagonal c, [Rank] F32; 0: ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of g, [Rows, Rank] BF16, rows <see cref="ResultStride"/> apart; written; 0: not wanted.
    /// </summary>
    public ulong G;

    /// <summary>
    /// Device address of the copy Scale · c ∘ g, [Rows, Rank] BF16, rows <see cref="ScaledStride"/> apart; written; 0:
    /// not wanted.
    /// </summary>
    public ulong Scaled;

    /// <summary>
    /// Device address of the partial sums of g, [Shares, Rows, Rank] F32; written instead of g and the copy when there
    /// is more than one share.
    /// </summary>
    public ulong Partial;

    /// <summary>
    /// Device address of the partial sums of dL, [blocks of rows, Columns, Rank] F32; written; 0: dL is not wanted.
    /// </summary>
    public ulong LeftPartial;

    /// <summary>Rows of dy (tokens).</summary>
    public int Rows;

    /// <summary>Columns of dy.</summary>
    public int Columns;

    /// <summary>Columns of L.</summary>
    public int Rank;

    /// <summary>Elements from one row of dy to the next.</summary>
    public int DyStride;

    /// <summary>Elements from one row of z to the next.</summary>
    public int SkinnyStride;

    /// <summary>Elements from one row of g to the next.</summary>
    public int ResultStride;

    /// <summary>Elements from one row of the scaled copy to the next.</summary>
    public int ScaledStride;

    /// <summary>Parts that the columns are divided into; grid y counts them.</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of the input gradients in <c>low_rank_passes.cu</c>: <c>dR = hᵀ x</c>, BF16.</summary>
public struct LowRankInputGradientArgs
{
    /// <summary>Describes <c>low_rank_input_gradient_32_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankInputGradientArgs> Ranks32 = new(
        "low_rank_passes",
        256,
        "low_rank_input_gradient_32_bf16"
    )
    {
        SharedBytes = 81_920,
    };

    /// <summary>Describes <c>low_rank_input_gradient_64_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankInputGradientArgs> Ranks64 = new(
        "low_rank_passes",
        256,
        "low_rank_input_gradient_64_bf16"
    )
    {
        SharedBytes = 98_304,
    };

    /// <summary>Describes <c>low_rank_input_gradient_128_bf16</c>.</summary>
    public static readonly KernelEntry<LowRankInputGradientArgs> Ranks128 = new(
        "low_rank_passes",
        256,
        "low_rank_input_gradient_128_bf16"
    )
    {
        SharedBytes = 131_072,
    };

    /// <summary>
    /// Device address of x, [Rows, Columns] BF16, rows <see cref="XStride"/> apart. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of h, [Rows, Rank] BF16, rows <see cref="SkinnyStride"/> apart. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong H;

    /// <summary>Device address of the partial sums of dR, [Shares, Rank, Columns] F32; written.</summary>
    public ulong Partial;

    /// <summary>The mask over x, whose factor is left to the reduction; no state: x as it is.</summary>
    public DropoutSource Dropout;

    /// <summary>Rows of x (tokens).</summary>
    public int Rows;

    /// <summary>Columns of x.</summary>
    public int Columns;

    /// <summary>Columns of h.</summary>
    public int Rank;

    /// <summary>Elements from one row of x to the next.</summary>
    public int XStride;

    /// <summary>Elements from one row of h to the next.</summary>
    public int SkinnyStride;

    /// <summary>Parts that the rows are divided into; grid y counts them.</summary>
    public int Shares;
}
