namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the projections in <c>low_rank_passes.cu</c>: <c>z = x Rᵀ</c>, BF16.</summary>
public struct LowRankProjectArgs
{
    /// <summary>
    /// The kernel that computes 32 columns of z, <c>low_rank_project_32_bf16</c>; one block per 128 rows of x (grid x),
    /// share (grid y) and 32 ranks (grid z).
    /// </summary>
    public static readonly KernelEntry<LowRankProjectArgs> Ranks32 = new(
        "low_rank_passes",
        256,
        "low_rank_project_32_bf16"
    )
    {
        SharedBytes = 81_920,
    };

    /// <summary>
    /// The kernel that computes 64 columns of z, <c>low_rank_project_64_bf16</c>; one block per 128 rows of x (grid x),
    /// share (grid y) and 64 ranks (grid z).
    /// </summary>
    public static readonly KernelEntry<LowRankProjectArgs> Ranks64 = new(
        "low_rank_passes",
        256,
        "low_rank_project_64_bf16"
    )
    {
        SharedBytes = 98_304,
    };

    /// <summary>
    /// The kernel that computes 128 columns of z, <c>low_rank_project_128_bf16</c>; one block per 128 rows of x (grid
    /// x), share (grid y) and 128 ranks (grid z).
    /// </summary>
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

    /// <summary>Device address of the middle diagonal c, [Rank] F32; 0 for ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of z, [Rows, Rank] BF16, rows <see cref="ResultStride"/> apart; written; 0 if it is not wanted.
    /// </summary>
    public ulong Z;

    /// <summary>
    /// Device address of the scaled copy Scale · c ∘ z, [Rows, Rank] BF16, rows <see cref="ScaledStride"/> apart;
    /// written; 0 if it is not wanted.
    /// </summary>
    public ulong Scaled;

    /// <summary>
    /// Device address of the partial sums, [Shares, Rows, Rank] F32; written instead of z and the copy when there is
    /// more than one share.
    /// </summary>
    public ulong Partial;

    /// <summary>The dropout mask over x; without a state x is used unmasked.</summary>
    public DropoutSource Dropout;

    /// <summary>Number of rows of x (tokens).</summary>
    public int Rows;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Number of rows of R.</summary>
    public int Rank;

    /// <summary>Stride between rows of x, in elements.</summary>
    public int XStride;

    /// <summary>Stride between rows of R, in elements.</summary>
    public int RightStride;

    /// <summary>Stride between rows of z, in elements.</summary>
    public int ResultStride;

    /// <summary>Stride between rows of the scaled copy, in elements.</summary>
    public int ScaledStride;

    /// <summary>Number of parts that the columns are divided into; grid y counts them.</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>
/// Arguments of the output gradients in <c>low_rank_passes.cu</c>: <c>g = dy L</c> and dL, with dy read once, BF16.
/// </summary>
public struct LowRankOutputGradientsArgs
{
    /// <summary>
    /// The kernel that computes 32 columns of g, <c>low_rank_output_gradients_32_bf16</c>; one block per group of dy's
    /// rows (grid x), share (grid y) and 32 ranks (grid z).
    /// </summary>
    public static readonly KernelEntry<LowRankOutputGradientsArgs> Ranks32 = new(
        "low_rank_passes",
        256,
        "low_rank_output_gradients_32_bf16"
    )
    {
        SharedBytes = 147_456,
    };

    /// <summary>
    /// The kernel that computes 64 columns of g, <c>low_rank_output_gradients_64_bf16</c>; one block per group of dy's
    /// rows (grid x), share (grid y) and 64 ranks (grid z).
    /// </summary>
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

    /// <summary>Device address of the middle diagonal c, [Rank] F32; 0 for ones.</summary>
    public ulong Middle;

    /// <summary>
    /// Device address of g, [Rows, Rank] BF16, rows <see cref="ResultStride"/> apart; written; 0 if it is not wanted.
    /// </summary>
    public ulong G;

    /// <summary>
    /// Device address of the scaled copy Scale · c ∘ g, [Rows, Rank] BF16, rows <see cref="ScaledStride"/> apart;
    /// written; 0 if it is not wanted.
    /// </summary>
    public ulong Scaled;

    /// <summary>
    /// Device address of the partial sums of g, [Shares, Rows, Rank] F32; written instead of g and the copy when there
    /// is more than one share.
    /// </summary>
    public ulong Partial;

    /// <summary>
    /// Device address of the partial sums of dL, [blocks of rows, Columns, Rank] F32; written; 0 if dL is not wanted.
    /// </summary>
    public ulong LeftPartial;

    /// <summary>Number of rows of dy (tokens).</summary>
    public int Rows;

    /// <summary>Number of columns of dy.</summary>
    public int Columns;

    /// <summary>Number of columns of L.</summary>
    public int Rank;

    /// <summary>Stride between rows of dy, in elements.</summary>
    public int DyStride;

    /// <summary>Stride between rows of z, in elements.</summary>
    public int SkinnyStride;

    /// <summary>Stride between rows of g, in elements.</summary>
    public int ResultStride;

    /// <summary>Stride between rows of the scaled copy, in elements.</summary>
    public int ScaledStride;

    /// <summary>Number of parts that the columns are divided into; grid y counts them.</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of the input gradients in <c>low_rank_passes.cu</c>: <c>dR = hᵀ x</c>, BF16.</summary>
public struct LowRankInputGradientArgs
{
    /// <summary>
    /// The kernel that computes 32 rows of dR, <c>low_rank_input_gradient_32_bf16</c>; one block per 128 columns of x
    /// (grid x), share (grid y) and 32 ranks (grid z).
    /// </summary>
    public static readonly KernelEntry<LowRankInputGradientArgs> Ranks32 = new(
        "low_rank_passes",
        256,
        "low_rank_input_gradient_32_bf16"
    )
    {
        SharedBytes = 81_920,
    };

    /// <summary>
    /// The kernel that computes 64 rows of dR, <c>low_rank_input_gradient_64_bf16</c>; one block per 128 columns of x
    /// (grid x), share (grid y) and 64 ranks (grid z).
    /// </summary>
    public static readonly KernelEntry<LowRankInputGradientArgs> Ranks64 = new(
        "low_rank_passes",
        256,
        "low_rank_input_gradient_64_bf16"
    )
    {
        SharedBytes = 98_304,
    };

    /// <summary>
    /// The kernel that computes 128 rows of dR, <c>low_rank_input_gradient_128_bf16</c>; one block per 128 columns of x
    /// (grid x), share (grid y) and 128 ranks (grid z).
    /// </summary>
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

    /// <summary>
    /// The dropout mask over x; without a state x is used unmasked. The factor of the elements that are kept is not
    /// applied here but by the reduction.
    /// </summary>
    public DropoutSource Dropout;

    /// <summary>Number of rows of x (tokens).</summary>
    public int Rows;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Number of columns of h.</summary>
    public int Rank;

    /// <summary>Stride between rows of x, in elements.</summary>
    public int XStride;

    /// <summary>Stride between rows of h, in elements.</summary>
    public int SkinnyStride;

    /// <summary>Number of parts that the rows are divided into; grid y counts them.</summary>
    public int Shares;
}
