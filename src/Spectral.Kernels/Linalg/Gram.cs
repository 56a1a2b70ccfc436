namespace Spectral.Kernels;

/// <summary>Argument of <c>gram_partial</c>.</summary>
[KernelArgs("gram", "gram_partial")]
public struct GramPartialArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong X, Partial;

    /// <summary>Shape of X, and the columns that one partial sum covers.</summary>
    public int Rows, Columns, Chunk;
}

/// <summary>Argument of <c>gram_reduce</c>.</summary>
[KernelArgs("gram", "gram_reduce")]
public struct GramReduceArgs
{
    /// <summary>Device address, as in the kernel's contract; Deviation may be 0.</summary>
    public ulong Partial, Gram, Deviation;

    /// <summary>Order of the Gram matrix, and the number of partial sums.</summary>
    public int Rows, Chunks;
}

/// <summary>Gram matrices X Xᵀ with F64 sums.</summary>
public static class Gram
{
    private const int PartialThreads = 64, ReduceThreads = 128, ChunkColumns = 256, MostChunks = 64, MostPartials = 1 << 24;

    /// <summary>gram = x xᵀ.</summary>
    /// <param name="x">[rows, columns], F32; at most 2048 rows.</param>
    /// <param name="gram">[rows, rows], F64.</param>
    /// <param name="deviation">Device address of an I32 that is raised to the bits (as a float) of max |gram − I|, or 0. NaN ranks highest.</param>
    public static void Run(Tensor x, Tensor gram, ulong deviation = 0)
    {
        Check.Shape(x, nameof(x), -1, -1);
        Check.DType(x, nameof(x), DType.F32);
        int rows = x.Dim(0), columns = x.Dim(1);
        if (rows > 2048) throw new ArgumentException($"x is {x.Shape}, expected at most 2048 rows", nameof(x));
        Check.Shape(gram, nameof(gram), rows, rows);
        Check.DType(gram, nameof(gram), DType.F64);
        Check.SameDevice(x.Device, gram, nameof(gram));
        if (rows == 0) return;
        // By the shape alone, so that the order of the sums does not depend on the device.
        int wanted = Math.Clamp((columns + ChunkColumns - 1) / ChunkColumns, 1, Math.Max(1, Math.Min(MostChunks, MostPartials / (rows * rows))));
        int chunk = ((columns + wanted - 1) / wanted + 7) / 8 * 8, chunks = chunk == 0 ? 1 : (columns + chunk - 1) / chunk;
        using Tensor partial = Tensor.Empty(x.Device, (chunks, rows, rows), DType.F64);
        int tiles = (rows + 1) / 2, pairs = tiles * (tiles + 1) / 2;
        var sum = new GramPartialArgs { X = x.Pointer, Partial = partial.Pointer, Rows = rows, Columns = columns, Chunk = chunk };
        x.Device.Kernel("gram", "gram_partial").Launch(sum, (pairs + PartialThreads - 1) / PartialThreads, chunks, 1, PartialThreads);
        var reduce = new GramReduceArgs { Partial = partial.Pointer, Gram = gram.Pointer, Deviation = deviation, Rows = rows, Chunks = chunks };
        x.Device.Kernel("gram", "gram_reduce").Launch(reduce, (rows * rows + ReduceThreads - 1) / ReduceThreads, ReduceThreads);
    }
}
