namespace Spectral.Kernels.Ops;

/// <summary>Arguments of <c>low_rank_project</c>.</summary>
[KernelArgs("low_rank_passes", "low_rank_project_32_bf16", "low_rank_project_64_bf16", "low_rank_project_128_bf16")]
public struct LowRankProjectArgs
{
    /// <summary>[rows, columns].</summary>
    public ulong X;

    /// <summary>[rank, columns].</summary>
    public ulong Right;

    /// <summary>[rank] F32, or 0.</summary>
    public ulong Middle;

    /// <summary>[rows, rank], or 0.</summary>
    public ulong Z;

    /// <summary>[rows, rank], or 0.</summary>
    public ulong Scaled;

    /// <summary>[shares, rows, rank] F32; used with more than one share.</summary>
    public ulong Partial;

    /// <summary>The mask over x.</summary>
    public DropoutSource Dropout;

    /// <summary>M.</summary>
    public int Rows;

    /// <summary>K.</summary>
    public int Columns;

    /// <summary>r.</summary>
    public int Rank;

    /// <summary>Elements from one row to the next: of x, R, z and its scaled copy.</summary>
    public int XStride;

    /// <summary>Elements from one row to the next: of x, R, z and its scaled copy.</summary>
    public int RightStride;

    /// <summary>Elements from one row to the next: of x, R, z and its scaled copy.</summary>
    public int ResultStride;

    /// <summary>Elements from one row to the next: of x, R, z and its scaled copy.</summary>
    public int ScaledStride;

    /// <summary>Parts that the columns are divided into (grid y).</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_output_gradients</c>.</summary>
[KernelArgs("low_rank_passes", "low_rank_output_gradients_32_bf16", "low_rank_output_gradients_64_bf16")]
public struct LowRankOutputGradientsArgs
{
    /// <summary>[rows, columns].</summary>
    public ulong Dy;

    /// <summary>[columns, rank].</summary>
    public ulong Left;

    /// <summary>[rows, rank].</summary>
    public ulong Z;

    /// <summary>[rank] F32, or 0.</summary>
    public ulong Middle;

    /// <summary>[rows, rank], or 0.</summary>
    public ulong G;

    /// <summary>[rows, rank], or 0.</summary>
    public ulong Scaled;

    /// <summary>[shares, rows, rank] F32; used with more than one share.</summary>
    public ulong Partial;

    /// <summary>[blocks of rows, columns, rank] F32, or 0: no gradient of L.</summary>
    public ulong LeftPartial;

    /// <summary>M.</summary>
    public int Rows;

    /// <summary>N.</summary>
    public int Columns;

    /// <summary>r.</summary>
    public int Rank;

    /// <summary>Elements from one row to the next: of dy, z, g and its scaled copy.</summary>
    public int DyStride;

    /// <summary>Elements from one row to the next: of dy, z, g and its scaled copy.</summary>
    public int SkinnyStride;

    /// <summary>Elements from one row to the next: of dy, z, g and its scaled copy.</summary>
    public int ResultStride;

    /// <summary>Elements from one row to the next: of dy, z, g and its scaled copy.</summary>
    public int ScaledStride;

    /// <summary>Parts that the columns are divided into (grid y).</summary>
    public int Shares;

    /// <summary>Factor of the scaled copy.</summary>
    public float Scale;
}

/// <summary>Arguments of <c>low_rank_input_gradient</c>.</summary>
[KernelArgs(
    "low_rank_passes",
    "low_rank_input_gradient_32_bf16",
    "low_rank_input_gradient_64_bf16",
    "low_rank_input_gradient_128_bf16"
)]
public struct LowRankInputGradientArgs
{
    /// <summary>[rows, columns].</summary>
    public ulong X;

    /// <summary>[rows, rank], rows skinny_stride apart.</summary>
    public ulong H;

    /// <summary>[shares, rank, columns] F32.</summary>
    public ulong Partial;

    /// <summary>The mask over x.</summary>
    public DropoutSource Dropout;

    /// <summary>M.</summary>
    public int Rows;

    /// <summary>K.</summary>
    public int Columns;

    /// <summary>r.</summary>
    public int Rank;

    /// <summary>Elements from one row to the next: of x and h.</summary>
    public int XStride;

    /// <summary>Elements from one row to the next: of x and h.</summary>
    public int SkinnyStride;

    /// <summary>Parts that the rows are divided into (grid y).</summary>
    public int Shares;
}
