namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>quantized_matvec.cu</c>: a few rows times a quantised weight.</summary>
public struct QuantizedMatvecArgs
{
    /// <summary>
    /// The kernels for codes of 4 bits by the type of x and y, <c>quantized_matvec_4_f32</c> and
    /// <c>quantized_matvec_4_bf16</c>; one warp per row of W.
    /// </summary>
    public static readonly KernelEntry<QuantizedMatvecArgs> FourBits = new(
        "quantized_matvec",
        Launch.RowThreads,
        "quantized_matvec_4_f32",
        "quantized_matvec_4_bf16"
    );

    /// <summary>
    /// The kernels for codes of 8 bits by the type of x and y, <c>quantized_matvec_8_f32</c> and
    /// <c>quantized_matvec_8_bf16</c>; one warp per row of W.
    /// </summary>
    public static readonly KernelEntry<QuantizedMatvecArgs> EightBits = new(
        "quantized_matvec",
        Launch.RowThreads,
        "quantized_matvec_8_f32",
        "quantized_matvec_8_bf16"
    );

    /// <summary>W, the whole weight [Columns, Depth].</summary>
    public QuantizedSource Weight;

    /// <summary>
    /// Device address of x, [Rows, Depth], element type of the entry, rows <see cref="XStride"/> apart. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of y, [Rows, Columns], element type of the entry, rows <see cref="YStride"/> apart; written.
    /// </summary>
    public ulong Y;

    /// <summary>Stride between rows of x, in elements.</summary>
    public long XStride;

    /// <summary>Stride between rows of y, in elements.</summary>
    public long YStride;

    /// <summary>Number of rows of x and y, at most 8.</summary>
    public int Rows;

    /// <summary>Number of rows of W, columns of y.</summary>
    public int Columns;

    /// <summary>Number of columns of W and x, the length of the sums.</summary>
    public int Depth;

    /// <summary>1 to add to y, 0 to overwrite.</summary>
    public int Accumulate;
}
