namespace Spectral.Kernels;

/// <summary>Arguments of <c>heads.cu</c>.</summary>
[KernelArgs("heads", "heads_split_f32", "heads_split_bf16", "heads_merge_f32", "heads_merge_bf16")]
public struct HeadsArgs
{
    /// <summary>Device address.</summary>
    public ulong Source, Destination;
    /// <summary>Size.</summary>
    public int Batch, Length, Heads, HeadDim;
}

/// <summary>Moves heads outside the sequence and back; each is the other's adjoint.</summary>
public static class Heads
{
    /// <summary><c>y[b, h, s, :] = x[b, s, h, :]</c>.</summary>
    /// <param name="x">[B·S, H·hd] F32 or BF16.</param>
    /// <param name="y">[B, H, S, hd], type of x; written. Must not overlap x.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Split(Tensor x, Tensor y)
    {
        Verify(x, y);
        Run(Launch.Entry(x.DType, "heads_split_f32", "heads_split_bf16"), x, y, y.Shape);
    }

    /// <summary><c>x[b, s, h, :] = y[b, h, s, :]</c>.</summary>
    /// <param name="y">[B, H, S, hd] F32 or BF16.</param>
    /// <param name="x">[B·S, H·hd], type of y; written. Must not overlap y.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Merge(Tensor y, Tensor x)
    {
        Verify(x, y);
        Run(Launch.Entry(x.DType, "heads_merge_f32", "heads_merge_bf16"), y, x, y.Shape);
    }

    /// <summary>Preconditions on the two layouts of the same values: [B·S, H·hd] and [B, H, S, hd].</summary>
    internal static void Verify(Tensor merged, Tensor split)
    {
        Check.Floating(split, nameof(split));
        Check.Shape(split, nameof(split), -1, -1, -1, -1);
        Check.Shape(merged, nameof(merged), checked(split.Dim(0) * split.Dim(2)), checked(split.Dim(1) * split.Dim(3)));
        Check.SameDType(split, nameof(split), merged, nameof(merged));
        Check.SameDevice(split.Device, split, nameof(split));
        Check.SameDevice(split.Device, merged, nameof(merged));
    }

    private static void Run(string entry, Tensor source, Tensor destination, Shape split)
    {
        if (source.Count == 0) return;
        var args = new HeadsArgs
        {
            Source = source.Pointer, Destination = destination.Pointer,
            Batch = split[0], Length = split[2], Heads = split[1], HeadDim = split[3],
        };
        source.Device.Kernel("heads", entry).Launch(args, Launch.RowBlocks((long)args.Batch * args.Length), Launch.RowThreads);
    }
}
