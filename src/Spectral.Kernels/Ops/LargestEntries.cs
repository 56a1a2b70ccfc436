using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Chooses entries of a matrix: those of largest magnitude, or a random set. The result is exact and the same on every
/// device. Each call waits for the device a few times; it is meant for choosing a mask, not for every step.
/// </summary>
public static class LargestEntries
{
    private const int Segment = 256; // kSegment in the kernel
    private const int Chunk = 1 << 16; // kChunk in the kernel

    /// <summary>The digits of a magnitude's 31 bits, from the highest: lowest bit and number of bits.</summary>
    private static readonly (int Shift, int Bits)[] Digits = [(20, 11), (10, 10), (0, 10)];

    /// <summary>
    /// Writes the places of the entries with the largest |x|, ascending. Of equal magnitudes the lowest places are
    /// taken; NaN counts as 0.
    /// </summary>
    /// <param name="x">F32 of any shape, fewer than 2³¹ elements.</param>
    /// <param name="index">[K] I32, K at most the number of elements; written. Places count row by row.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Find(Tensor x, Tensor index)
    {
        Check.Operand(x, DType.F32);
        Check.Operand(index, x, DType.I32, [-1]);
        int size = Entries.Places(x.Shape, nameof(x));
        int count = index.Dim(0);
        if (count > size)
            throw new ArgumentException($"{count} entries of {x.Shape}, expected at most {size}", nameof(index));
        if (count == 0)
            return;
        (int threshold, int ties) = Threshold(x, size, count);
        Collect(x, size, threshold, ties, index);
    }

    /// <summary>
    /// Writes distinct places of a matrix, ascending, drawn at random: those of the largest of as many uniform numbers
    /// as the matrix has elements. Takes 4 bytes per element of the matrix during the call.
    /// </summary>
    /// <param name="shape">Shape of the matrix, fewer than 2³¹ elements.</param>
    /// <param name="index">[K] I32, K at most the number of elements; written.</param>
    /// <param name="seed">Seed of the random numbers.</param>
    /// <param name="stream">Random stream; streams are independent.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Draw(Shape shape, Tensor index, ulong seed, ulong stream)
    {
        using var draws = Tensor.Empty(index.Device, shape);
        Philox.Uniform(draws, seed, stream, 0, 1);
        Find(draws, index);
    }

    /// <summary>
    /// Returns the bits of the magnitude of the last entry that is taken, and the number of entries with that magnitude
    /// that are taken.
    /// </summary>
    private static (int Threshold, int Ties) Threshold(Tensor x, int size, int count)
    {
        // A rehearsal counts nothing: as if all magnitudes were zero.
        if (x.Device.IsRehearsal)
            return (0, count);
        int prefix = 0;
        int left = count;
        foreach ((int shift, int bits) in Digits)
        {
            int[] bins = Histogram(x, size, prefix, shift, bits);
            int digit = bins.Length - 1;
            while (bins[digit] < left)
                left -= bins[digit--];
            prefix = (prefix << bits) | digit;
        }

        return (prefix, left);
    }

    private static int[] Histogram(Tensor x, int size, int prefix, int shift, int bits)
    {
        using var bins = Tensor.Zeros(x.Device, 1 << bits, DType.I32);
        var args = new LargestEntriesHistogramArgs
        {
            X = x.Pointer,
            Bins = bins.Pointer,
            Count = size,
            Prefix = prefix,
            Shift = shift,
            Bits = bits,
        };
        LargestEntriesHistogramArgs.Kernel.Launch(x.Device, args, Launch.Blocks(size, Chunk));
        return bins.ToInt32Array();
    }

    private static void Collect(Tensor x, int size, int threshold, int ties, Tensor index)
    {
        int segments = Launch.Blocks(size, Segment);
        using var above = Tensor.Empty(x.Device, segments, DType.I32);
        using var equal = Tensor.Empty(x.Device, segments, DType.I32);
        var args = new LargestEntriesArgs
        {
            X = x.Pointer,
            Above = above.Pointer,
            Equal = equal.Pointer,
            Count = size,
            Threshold = threshold,
        };
        int blocks = Launch.Blocks(segments, Launch.FlatThreads);
        LargestEntriesArgs.Counting.Launch(x.Device, args, blocks);
        int[] starts = above.ToInt32Array();
        int[] taken = equal.ToInt32Array();
        int place = 0;
        for (int s = 0; s < segments; s++)
        {
            taken[s] = Math.Min(taken[s], ties);
            ties -= taken[s];
            int found = starts[s] + taken[s];
            starts[s] = place;
            place += found;
        }

        above.CopyFrom(starts);
        equal.CopyFrom(taken);
        args.Index = index.Pointer;
        LargestEntriesArgs.Writing.Launch(x.Device, args, blocks);
    }
}
