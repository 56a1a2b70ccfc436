using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Moves heads outside the sequence and back; each is the other's adjoint.</summary>
public static class Heads
{
    /// <summary>Splits the heads: <c>y[b, h, s, :] = x[b, s, h, :]</c>.</summary>
    /// <param name="x">[B·S, H·hd] F32 or BF16, columns of a wider matrix or all.</param>
    /// <param name="y">[B, H, S, hd], type of x; written. Must not overlap x.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Split(ColumnRange x, Tensor y)
    {
        Verify(x, y);
        Run(HeadsArgs.Split, x.Pointer, y.Pointer, y, x.Stride);
    }

    /// <summary>Merges the heads: <c>x[b, s, h, :] = y[b, h, s, :]</c>.</summary>
    /// <param name="y">[B, H, S, hd] F32 or BF16.</param>
    /// <param name="x">[B·S, H·hd], type of y, columns of a wider matrix or all; written. Must not overlap y.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Merge(Tensor y, ColumnRange x)
    {
        Verify(x, y);
        Run(HeadsArgs.Merge, y.Pointer, x.Pointer, y, x.Stride);
    }

    /// <summary>Checks the two layouts of the same values: [B·S, H·hd] and [B, H, S, hd].</summary>
    internal static void Verify(
        in ColumnRange merged,
        Tensor split,
        [CallerArgumentExpression(nameof(merged))] string mergedName = "",
        [CallerArgumentExpression(nameof(split))] string splitName = ""
    )
    {
        Check.Floating(split, [-1, -1, -1, -1], splitName);
        (int rows, int columns) = checked((split.Dim(0) * split.Dim(2), split.Dim(1) * split.Dim(3)));
        Check.Operand(merged, split, [rows, columns], mergedName, splitName);
    }

    private static void Run(
        KernelEntry<HeadsArgs> move,
        ulong source,
        ulong destination,
        Tensor split,
        int mergedStride
    )
    {
        if (split.Count == 0)
            return;
        var args = new HeadsArgs
        {
            Source = source,
            Destination = destination,
            Batch = split.Dim(0),
            Length = split.Dim(2),
            Heads = split.Dim(1),
            HeadDim = split.Dim(3),
            MergedStride = mergedStride,
        };
        move.Launch(split.Device, split.DType, args, Launch.RowBlocks((long)args.Batch * args.Length));
    }
}
