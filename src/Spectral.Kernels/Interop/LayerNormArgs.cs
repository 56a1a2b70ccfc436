namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the forward kernels in <c>layer_norm.cu</c>: <c>y = (x − m) / √(mean((x − m)²) + ε) ∘ w + b</c>.
/// </summary>
public struct LayerNormForwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>layer_norm_forward_f32</c> and <c>layer_norm_forward_bf16</c>;
    /// <see cref="Lanes"/> lanes per row.
    /// </summary>
    public static readonly KernelEntry<LayerNormForwardArgs> Kernel = new(
        "layer_norm",
        Launch.RowThreads,
        "layer_norm_forward_f32",
        "layer_norm_forward_bf16"
    );

    /// <summary>
    /// Device address of x, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of the weight w, [WeightRows, Columns], element type of the entry. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Weight;

    /// <summary>
    /// Device address of the bias b, [Columns], element type of the entry; 0 for none. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Bias;

    /// <summary>
    /// Device address of y, [Rows, Columns], element type of the entry, rows <see cref="YStride"/> apart; written.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>
    /// Device address of mean and inverse standard deviation of each row, [Rows, 2] F32; written for the backward
    /// pass.
    /// </summary>
    public ulong Statistics;

    /// <summary>Number of rows of x.</summary>
    public int Rows;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Number of rows of w; row r of x is multiplied by row r mod WeightRows.</summary>
    public int WeightRows;

    /// <summary>Stride between rows of y, in elements.</summary>
    public int YStride;

    /// <summary>Number of lanes of a warp that share a row: 8 or 32.</summary>
    public int Lanes;

    /// <summary>Number ε that is added to the variance.</summary>
    public float Epsilon;
}

/// <summary>Arguments of the backward kernels in <c>layer_norm.cu</c>: the gradient of x.</summary>
public struct LayerNormBackwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>layer_norm_backward_f32</c> and <c>layer_norm_backward_bf16</c>;
    /// <see cref="Lanes"/> lanes per row.
    /// </summary>
    public static readonly KernelEntry<LayerNormBackwardArgs> Kernel = new(
        "layer_norm",
        Launch.RowThreads,
        "layer_norm_backward_f32",
        "layer_norm_backward_bf16"
    );

    /// <summary>
    /// Device address of x, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of the weight w, [WeightRows, Columns], element type of the entry. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Weight;

    /// <summary>
    /// Device address of mean and inverse standard deviation of each row, [Rows, 2] F32, as the forward pass wrote
    /// them.
    /// </summary>
    public ulong Statistics;

    /// <summary>
    /// Device address of dy, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>
    /// Device address of a gradient to add to dx, [Rows, Columns], element type of the entry, rows
    /// <see cref="ResidualStride"/> apart; 0 for none. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DResidual;

    /// <summary>
    /// Device address of dx, [Rows, Columns], element type of the entry, rows <see cref="DxStride"/> apart; written;
    /// may be dResidual or dy. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dx;

    /// <summary>Number of rows of x.</summary>
    public int Rows;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Number of rows of w; row r of x is multiplied by row r mod WeightRows.</summary>
    public int WeightRows;

    /// <summary>Stride between rows of dResidual, in elements.</summary>
    public int ResidualStride;

    /// <summary>Stride between rows of dx, in elements.</summary>
    public int DxStride;

    /// <summary>Number of lanes of a warp that share a row: 8 or 32.</summary>
    public int Lanes;
}

/// <summary>
/// Arguments of the weight gradients in <c>layer_norm.cu</c>: column sums of <c>dy ∘ (x − m) r</c> over chunks of rows.
/// </summary>
public struct LayerNormWeightGradientArgs
{
    /// <summary>
    /// The kernels by element type, <c>layer_norm_weight_gradient_f32</c> and <c>layer_norm_weight_gradient_bf16</c>;
    /// one thread per 16 bytes of a row (grid x) and chunk of rows (grid y).
    /// </summary>
    public static readonly KernelEntry<LayerNormWeightGradientArgs> Kernel = new(
        "layer_norm",
        128,
        "layer_norm_weight_gradient_f32",
        "layer_norm_weight_gradient_bf16"
    );

    /// <summary>
    /// Device address of x, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of mean m and inverse standard deviation r of each row, [Rows, 2] F32, as the forward pass wrote
    /// them.
    /// </summary>
    public ulong Statistics;

    /// <summary>
    /// Device address of dy, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the partial sums, [⌈Rows / (WeightRows Chunk)⌉, WeightRows Columns] F32; written. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Partials;

    /// <summary>Number of rows of x, a multiple of <see cref="WeightRows"/>.</summary>
    public int Rows;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Number of rows of w.</summary>
    public int WeightRows;

    /// <summary>Number of rows of x that one partial covers for each row of w; grid y counts the chunks.</summary>
    public int Chunk;
}
