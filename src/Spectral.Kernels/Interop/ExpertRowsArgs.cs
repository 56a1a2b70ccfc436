namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the kernels in <c>expert_rows.cu</c> that sum rows of experts for each token.</summary>
public struct ExpertRowsCombineArgs
{
    /// <summary>
    /// The kernels by element type, <c>expert_rows_combine_f32</c> and <c>expert_rows_combine_bf16</c>; one warp per
    /// token.
    /// </summary>
    public static readonly KernelEntry<ExpertRowsCombineArgs> Kernel = new(
        "expert_rows",
        Launch.RowThreads,
        "expert_rows_combine_f32",
        "expert_rows_combine_bf16"
    );

    /// <summary>
    /// Device address of the rows in the order of the experts, [Tokens·K, Columns], element type of the entry. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Rows;

    /// <summary>Device address of the row of each of a token's experts, [Tokens, K] I32, all different.</summary>
    public ulong Place;

    /// <summary>Device address of their weights, [Tokens, K] F32; 0: they are 1.</summary>
    public ulong Weight;

    /// <summary>
    /// Device address of y, [Tokens, Columns], element type of the entry; written. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of rows of y.</summary>
    public int Tokens;

    /// <summary>Number of elements of a row.</summary>
    public int Columns;

    /// <summary>Number of experts per token.</summary>
    public int K;
}

/// <summary>Arguments of the kernels in <c>expert_rows.cu</c> that compute the gradients of rows and weights.</summary>
public struct ExpertRowsBackwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>expert_rows_backward_f32</c> and <c>expert_rows_backward_bf16</c>; one warp per
    /// token and expert.
    /// </summary>
    public static readonly KernelEntry<ExpertRowsBackwardArgs> Kernel = new(
        "expert_rows",
        Launch.RowThreads,
        "expert_rows_backward_f32",
        "expert_rows_backward_bf16"
    );

    /// <summary>
    /// Device address of dy, [Tokens, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>Device address of the row of each of a token's experts, [Tokens, K] I32, all different.</summary>
    public ulong Place;

    /// <summary>Device address of their weights, [Tokens, K] F32.</summary>
    public ulong Weight;

    /// <summary>
    /// Device address of the rows of the forward pass, [Tokens·K, Columns], element type of the entry; 0 where
    /// <see cref="DWeight"/> is. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Rows;

    /// <summary>
    /// Device address of the gradient of the rows, [Tokens·K, Columns], element type of the entry; written; 0: it is
    /// not wanted. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DRows;

    /// <summary>Device address of the gradient of the weights, [Tokens, K] F32; written; 0: it is not wanted.</summary>
    public ulong DWeight;

    /// <summary>Number of rows of dy.</summary>
    public int Tokens;

    /// <summary>Number of elements of a row.</summary>
    public int Columns;

    /// <summary>Number of experts per token.</summary>
    public int K;
}
