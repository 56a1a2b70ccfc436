namespace Spectral.Kernels.Ops;

/// <summary>Arguments of the first stage in <c>reductions.cu</c>.</summary>
[KernelArgs("reductions", "reductions_sum", "reductions_squares")]
public struct ReductionsPartialArgs
{
    /// <summary>Device address.</summary>
    public ulong X;

    /// <summary>Device address.</summary>
    public ulong Partials;

    /// <summary>Size.</summary>
    public long Count;

    /// <summary>Size.</summary>
    public long Chunk;
}

/// <summary>Arguments of the second stage in <c>reductions.cu</c>.</summary>
[KernelArgs("reductions", "reductions_finish")]
public struct ReductionsFinishArgs
{
    /// <summary>Device address.</summary>
    public ulong Partials;

    /// <summary>Device address.</summary>
    public ulong Result;

    /// <summary>Size.</summary>
    public int Count;

    /// <summary>1: the square root of the sum.</summary>
    public int Root;
}

/// <summary>The sum of a whole tensor.</summary>
public static class Sum
{
    /// <summary><c>result = Σ x</c>, added in F64 in an order that depends on the length alone.</summary>
    /// <param name="x">Any shape, F32.</param>
    /// <param name="result">[1] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor x, Tensor result) => Reduction.Run([x], "reductions_sum", false, result);
}

/// <summary>The Euclidean norm over many tensors, as gradient clipping needs it.</summary>
public static class GlobalNorm
{
    /// <summary><c>result = √(Σ over all tensors of Σ x²)</c>, added in F64 in an order that depends on the lengths alone.</summary>
    /// <param name="tensors">Any shapes, F32, all on one device; none gives 0.</param>
    /// <param name="result">[1] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(ReadOnlySpan<Tensor> tensors, Tensor result) =>
        Reduction.Run(tensors, "reductions_squares", true, result);
}

internal static class Reduction
{
    private const int ChunkElements = 2048;
    private const int MaxChunks = 1024;
    private const int FinishThreads = 256;

    public static void Run(ReadOnlySpan<Tensor> tensors, string entry, bool root, Tensor result)
    {
        Check.Shape(result, nameof(result), 1);
        Check.DType(result, nameof(result), DType.F32);
        Check.SameDevice(result.Device, result, nameof(result));
        int total = 0;
        foreach (Tensor tensor in tensors)
        {
            Check.DType(tensor, nameof(tensors), DType.F32);
            Check.SameDevice(result.Device, tensor, nameof(tensors));
            total = checked(total + Launch.Blocks(tensor.Count, (int)ChunkOf(tensor)));
        }
        if (total == 0)
        {
            result.Clear();
            return;
        }
        using var partials = Tensor.Empty(result.Device, total, DType.F64);
        Kernel kernel = result.Device.Kernel("reductions", entry);
        int done = 0;
        foreach (Tensor tensor in tensors)
        {
            if (tensor.Count == 0)
                continue;
            long chunk = ChunkOf(tensor);
            int chunks = Launch.Blocks(tensor.Count, (int)chunk);
            var args = new ReductionsPartialArgs
            {
                X = tensor.Pointer,
                Partials = partials.Pointer + (ulong)done * sizeof(double),
                Count = tensor.Count,
                Chunk = chunk,
            };
            kernel.Launch(args, Launch.RowBlocks(chunks), Launch.RowThreads);
            done += chunks;
        }
        var finish = new ReductionsFinishArgs
        {
            Partials = partials.Pointer,
            Result = result.Pointer,
            Count = total,
            Root = root ? 1 : 0,
        };
        result.Device.Kernel("reductions", "reductions_finish").Launch(finish, 1, FinishThreads);
    }

    // Elements per warp: enough to pay for its reduction, and at most MaxChunks partials per tensor for the one block of the second stage.
    private static long ChunkOf(Tensor tensor) => Math.Max(ChunkElements, (tensor.Count / MaxChunks + 4) & ~3L);
}
