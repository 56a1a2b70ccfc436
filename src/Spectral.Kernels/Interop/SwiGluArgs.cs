namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the forward kernels in <c>swiglu.cu</c>: <c>y = silu(gate) ∘ up</c>.</summary>
public struct SwiGluForwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>swiglu_forward_f32</c> and <c>swiglu_forward_bf16</c>; one thread per 16 bytes,
    /// <see cref="Blocks"/> blocks per row.
    /// </summary>
    public static readonly KernelEntry<SwiGluForwardArgs> Kernel = new(
        "swiglu",
        Launch.FlatThreads,
        "swiglu_forward_f32",
        "swiglu_forward_bf16"
    );

    /// <summary>
    /// Device address of the gate, [rows, Columns], element type of the entry, rows <see cref="GateStride"/> apart.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Gate;

    /// <summary>
    /// Device address of the up projection, [rows, Columns], element type of the entry, rows <see cref="UpStride"/>
    /// apart. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Up;

    /// <summary>
    /// Device address of y, [rows, Columns], element type of the entry, rows <see cref="YStride"/> apart; written; may
    /// be the gate or the up projection. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of elements of a row.</summary>
    public long Columns;

    /// <summary>Number of thread blocks per row.</summary>
    public uint Blocks;

    /// <summary>Stride between rows of the gate, in elements.</summary>
    public int GateStride;

    /// <summary>Stride between rows of the up projection, in elements.</summary>
    public int UpStride;

    /// <summary>Stride between rows of y, in elements.</summary>
    public int YStride;
}

/// <summary>Arguments of the backward kernels in <c>swiglu.cu</c>: the gradients of gate and up.</summary>
public struct SwiGluBackwardArgs
{
    /// <summary>
    /// The kernels by element type, <c>swiglu_backward_f32</c> and <c>swiglu_backward_bf16</c>; one thread per 16
    /// bytes, <see cref="Blocks"/> blocks per row.
    /// </summary>
    public static readonly KernelEntry<SwiGluBackwardArgs> Kernel = new(
        "swiglu",
        Launch.FlatThreads,
        "swiglu_backward_f32",
        "swiglu_backward_bf16"
    );

    /// <summary>
    /// Device address of the gate, [rows, Columns], element type of the entry, rows <see cref="GateStride"/> apart.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Gate;

    /// <summary>
    /// Device address of the up projection, [rows, Columns], element type of the entry, rows <see cref="UpStride"/>
    /// apart. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Up;

    /// <summary>
    /// Device address of dy, [rows, Columns], element type of the entry, contiguous. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the gradient of the gate, element type of the entry, rows <see cref="DGateStride"/> apart;
    /// written; may be an input. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DGate;

    /// <summary>
    /// Device address of the gradient of the up projection, element type of the entry, rows <see cref="DUpStride"/>
    /// apart; written; may be an input. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DUp;

    /// <summary>Number of elements of a row.</summary>
    public long Columns;

    /// <summary>Number of thread blocks per row.</summary>
    public uint Blocks;

    /// <summary>Stride between rows of the gate, in elements.</summary>
    public int GateStride;

    /// <summary>Stride between rows of the up projection, in elements.</summary>
    public int UpStride;

    /// <summary>Stride between rows of the gate's gradient, in elements.</summary>
    public int DGateStride;

    /// <summary>Stride between rows of the up projection's gradient, in elements.</summary>
    public int DUpStride;
}
