namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>dequantize.cu</c>: a rectangle of a quantised weight as plain numbers.</summary>
public struct DequantizeArgs
{
    /// <summary>
    /// The kernels for codes of 4 bits by the type of the result, <c>dequantize_4_f32</c> and <c>dequantize_4_bf16</c>;
    /// one thread per 8 columns of 4 rows.
    /// </summary>
    public static readonly KernelEntry<DequantizeArgs> FourBits = new(
        "dequantize",
        Launch.FlatThreads,
        "dequantize_4_f32",
        "dequantize_4_bf16"
    );

    /// <summary>
    /// The kernels for codes of 8 bits by the type of the result, <c>dequantize_8_f32</c> and <c>dequantize_8_bf16</c>;
    /// one thread per 8 columns of 4 rows.
    /// </summary>
    public static readonly KernelEntry<DequantizeArgs> EightBits = new(
        "dequantize",
        Launch.FlatThreads,
        "dequantize_8_f32",
        "dequantize_8_bf16"
    );

    /// <summary>The whole weight, of which a rectangle is read.</summary>
    public QuantizedSource Weight;

    /// <summary>
    /// Device address of the result, [Rows, Columns], element type of the entry; written. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Destination;

    /// <summary>First row of the rectangle.</summary>
    public int FromRow;

    /// <summary>First column of the rectangle.</summary>
    public int FromColumn;

    /// <summary>Number of rows of the rectangle.</summary>
    public int Rows;

    /// <summary>Number of columns of the rectangle.</summary>
    public int Columns;
}
