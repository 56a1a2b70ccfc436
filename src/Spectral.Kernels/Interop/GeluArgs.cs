namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the forward kernels in <c>gelu.cu</c>: <c>y = gelu(x) ∘ up</c>.</summary>
public struct GeluForwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>gelu_forward_f32</c> and <c>gelu_forward_bf16</c>; one thread per 16 bytes,
    /// <see cref="Blocks"/> blocks per row.
    /// </summary>
    public static readonly KernelEntry<GeluForwardArgs> Kernel = new(
        "gelu",
        Launch.FlatThreads,
        "gelu_forward_f32",
        "gelu_forward_bf16"
    );

    /// <summary>
    /// Device address of x, [rows, Columns], element type of the entry, rows <see cref="XStride"/> apart. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of the factor, [rows, Columns], element type of the entry, rows <see cref="UpStride"/> apart; 0
    /// for a factor of 1. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Up;

    /// <summary>
    /// Device address of y, [rows, Columns], element type of the entry, rows <see cref="YStride"/> apart; written; may
    /// be x or the factor. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of elements of a row.</summary>
    public long Columns;

    /// <summary>Number of thread blocks per row.</summary>
    public uint Blocks;

    /// <summary>Stride between rows of x, in elements.</summary>
    public int XStride;

    /// <summary>Stride between rows of the factor, in elements.</summary>
    public int UpStride;

    /// <summary>Stride between rows of y, in elements.</summary>
    public int YStride;

    /// <summary>The form: 1 for the exact one, 0 for the one by tanh.</summary>
    public int Exact;
}

/// <summary>Arguments of the backward kernels in <c>gelu.cu</c>: the gradients of x and of the factor.</summary>
public struct GeluBackwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>gelu_backward_f32</c> and <c>gelu_backward_bf16</c>; one thread per 16 bytes,
    /// <see cref="Blocks"/> blocks per row.
    /// </summary>
    public static readonly KernelEntry<GeluBackwardArgs> Kernel = new(
        "gelu",
        Launch.FlatThreads,
        "gelu_backward_f32",
        "gelu_backward_bf16"
    );

    /// <summary>
    /// Device address of x, [rows, Columns], element type of the entry, rows <see cref="XStride"/> apart. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of the factor, [rows, Columns], element type of the entry, rows <see cref="UpStride"/> apart; 0
    /// for a factor of 1. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Up;

    /// <summary>
    /// Device address of dy, [rows, Columns], element type of the entry, contiguous. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the gradient of x, element type of the entry, rows <see cref="DxStride"/> apart; written; may
    /// be an input. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dx;

    /// <summary>
    /// Device address of the gradient of the factor, element type of the entry, rows <see cref="DUpStride"/> apart;
    /// written; may be an input; 0 without a factor. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DUp;

    /// <summary>Number of elements of a row.</summary>
    public long Columns;

    /// <summary>Number of thread blocks per row.</summary>
    public uint Blocks;

    /// <summary>Stride between rows of x, in elements.</summary>
    public int XStride;

    /// <summary>Stride between rows of the factor, in elements.</summary>
    public int UpStride;

    /// <summary>Stride between rows of the gradient of x, in elements.</summary>
    public int DxStride;

    /// <summary>Stride between rows of the factor's gradient, in elements.</summary>
    public int DUpStride;

    /// <summary>The form: 1 for the exact one, 0 for the one by tanh.</summary>
    public int Exact;
}
