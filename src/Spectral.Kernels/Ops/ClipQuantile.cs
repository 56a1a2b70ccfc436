using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Clips values at a quantile of their magnitudes.</summary>
public static class ClipQuantile
{
    private const int Chunk = 1 << 16; // kChunk in the kernel

    /// <summary>The digits of a magnitude's 31 bits, from the highest: lowest bit and number of bits.</summary>
    private static readonly (int Shift, int Bits)[] Digits = [(20, 11), (10, 10), (0, 10)];

    /// <summary>
    /// Computes <c>x = min(max(x, −e), e)</c>, where e is a quantile of |x|, interpolated linearly between the two
    /// magnitudes nearest to it. The result is exact up to the rounding of that interpolation, and the same on every
    /// device. NaN counts as 0 and stays. Does not wait for the device.
    /// </summary>
    /// <param name="x">F32 of any shape, fewer than 2³¹ elements; updated.</param>
    /// <param name="quantile">From 0, the smallest magnitude, to 1, the largest, which changes nothing.</param>
    /// <exception cref="ArgumentException">Shape or type does not fit, or the quantile is out of range.</exception>
    public static void Run(Tensor x, double quantile)
    {
        Check.Operand(x, DType.F32);
        Clip(x, quantile, 1);
    }

    /// <summary>
    /// Clips each of the matrices that are stacked along the first dimension at the quantile of its own magnitudes,
    /// like <see cref="Run"/> for each, in as many launches as a single one takes.
    /// </summary>
    /// <param name="x">[b, m, n] F32, m·n below 2³¹; updated.</param>
    /// <param name="quantile">From 0, the smallest magnitude, to 1, the largest, which changes nothing.</param>
    /// <exception cref="ArgumentException">Shape or type does not fit, or the quantile is out of range.</exception>
    public static void RunEach(Tensor x, double quantile)
    {
        Check.Operand(x, DType.F32, [-1, -1, -1]);
        Clip(x, quantile, x.Dim(0));
    }

    private static void Clip(Tensor x, double quantile, int batch)
    {
        if (quantile is not (>= 0 and <= 1))
            throw new ArgumentException($"quantile is {quantile}, expected 0 to 1", nameof(quantile));
        if (x.Count == 0)
            return;
        int count = Entries.Places((checked((int)(x.Count / batch)), 1), nameof(x));
        using var bins = Tensor.Zeros(x.Device, (batch, ClipQuantileArgs.BinsPerMatrix), DType.I32);
        using var chosen = Tensor.Empty(x.Device, (batch, 4), DType.I32);
        double place = quantile * (count - 1);
        int lower = (int)Math.Floor(place);
        var args = new ClipQuantileArgs
        {
            X = x.Pointer,
            Bins = bins.Pointer,
            Chosen = chosen.Pointer,
            Count = count,
            Lower = lower,
            Upper = Math.Min(lower + 1, count - 1),
            Fraction = (float)(place - lower),
        };
        foreach ((int shift, int bits) in Digits)
        {
            (args.Shift, args.Bits) = (shift, bits);
            Launch.Batch(ClipQuantileArgs.Counting, x.Device, args, (Launch.Blocks(count, Chunk), batch));
            ClipQuantileArgs.Choosing.Launch(x.Device, args, batch);
        }

        Launch.Batch(ClipQuantileArgs.Clipping, x.Device, args, (Launch.FlatBlocks(count, DType.F32), batch));
    }
}
