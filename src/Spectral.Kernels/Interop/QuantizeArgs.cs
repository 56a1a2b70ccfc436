namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>quantize.cu</c>: rows of a weight as codes, in three steps.</summary>
public struct QuantizeArgs
{
    /// <summary>
    /// The kernel <c>quantize_absmax_f32</c>: the largest magnitude of each block, joined into
    /// <see cref="Scales"/>, which hold zeros before; one thread per 8 elements.
    /// </summary>
    public static readonly KernelEntry<QuantizeArgs> Absmax = new(
        "quantize",
        Launch.FlatThreads,
        "quantize_absmax_f32"
    );

    /// <summary>
    /// The kernel <c>quantize_scales_f32</c>: scales from the largest magnitudes, in place; one thread per block.
    /// </summary>
    public static readonly KernelEntry<QuantizeArgs> ToScales = new(
        "quantize",
        Launch.FlatThreads,
        "quantize_scales_f32"
    );

    /// <summary>The kernel <c>quantize_codes_4_f32</c>: codes of 4 bits; one thread per 8 elements.</summary>
    public static readonly KernelEntry<QuantizeArgs> FourBits = new(
        "quantize",
        Launch.FlatThreads,
        "quantize_codes_4_f32"
    );

    /// <summary>The kernel <c>quantize_codes_8_f32</c>: codes of 8 bits; one thread per 8 elements.</summary>
    public static readonly KernelEntry<QuantizeArgs> EightBits = new(
        "quantize",
        Launch.FlatThreads,
        "quantize_codes_8_f32"
    );

    /// <summary>The whole weight, for the places of its blocks; what is written has addresses of its own.</summary>
    public QuantizedSource Weight;

    /// <summary>Device address of the values, [Count] F32: whole rows of the weight.</summary>
    public ulong Values;

    /// <summary>
    /// Device address of the scales of all blocks of the weight, F32; the largest magnitudes until they are made.
    /// </summary>
    public ulong Scales;

    /// <summary>Device address of the codes of the whole weight; written; 4-byte aligned.</summary>
    public ulong Codes;

    /// <summary>
    /// Device address of the middles between neighbouring values of the codes, ascending, then infinities: [15] or
    /// [255] F32.
    /// </summary>
    public ulong Borders;

    /// <summary>Device address of the codes in the order of their values, [16] or [256] U8.</summary>
    public ulong Order;

    /// <summary>Place of the first value in the flattened weight; even.</summary>
    public long From;

    /// <summary>Number of values; of blocks for <see cref="ToScales"/>.</summary>
    public long Count;

    /// <summary>First of the blocks whose scales <see cref="ToScales"/> makes.</summary>
    public long FirstBlock;

    /// <summary>Magnitude that the largest value of a block gets when it is divided by the scale.</summary>
    public float Largest;

    /// <summary>
    /// Power of two that the largest magnitude is divided by where scales are powers of two; negative: they are not.
    /// </summary>
    public int Power;
}
