using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Sums a whole tensor.</summary>
public static class Sum
{
    /// <summary>Computes <c>result = Σ x</c> in F64, in an order that depends on the length alone.</summary>
    /// <param name="x">Any shape, F32.</param>
    /// <param name="result">[1] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor x, Tensor result) => Reduction.Run([x], ReductionsPartialArgs.Sum, false, result);
}

/// <summary>Computes the Euclidean norm over many tensors, as gradient clipping needs it.</summary>
public static class GlobalNorm
{
    /// <summary>
    /// Computes <c>result = √(Σ over all tensors of Σ x²)</c> in F64, in an order that depends on the lengths alone.
    /// </summary>
    /// <param name="tensors">Any shapes, F32, all on one device; none gives 0.</param>
    /// <param name="result">[1] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(ReadOnlySpan<Tensor> tensors, Tensor result) =>
        Reduction.Run(tensors, ReductionsPartialArgs.Squares, true, result);
}

internal static class Reduction
{
    private const int ChunkElements = 2048;
    private const int MaxChunks = 1024;

    public static void Run(
        ReadOnlySpan<Tensor> tensors,
        KernelEntry<ReductionsPartialArgs> stage,
        bool root,
        Tensor result
    )
    {
        Check.Operand(result, DType.F32, [1]);
        int total = 0;
        foreach (Tensor tensor in tensors)
        {
            Check.Operand(tensor, result, DType.F32, name: nameof(tensors));
            total = checked(total + Launch.Blocks(tensor.Count, (int)ChunkOf(tensor)));
        }
        if (total == 0)
        {
            result.Clear();
            return;
        }
        using var partials = Tensor.Empty(result.Device, total, DType.F64);
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
            stage.Launch(result.Device, args, Launch.RowBlocks(chunks));
            done += chunks;
        }
        var finish = new ReductionsFinishArgs
        {
            Partials = partials.Pointer,
            Result = result.Pointer,
            Count = total,
            Root = root ? 1 : 0,
        };
        ReductionsFinishArgs.Kernel.Launch(result.Device, finish, 1);
    }

    // Elements per warp: enough to pay for its reduction, and at most MaxChunks partials per tensor for the one block
    // of the second stage.
    private static long ChunkOf(Tensor tensor) => Math.Max(ChunkElements, (tensor.Count / MaxChunks + 4) & ~3L);
}
