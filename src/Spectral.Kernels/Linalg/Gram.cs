using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Computes Gram matrices X Xᵀ with F64 sums.</summary>
public static class Gram
{
    private const int ChunkColumns = 128;
    private const int MostChunks = 64;
    private const int MostPartials = 1 << 24;

    /// <summary>Computes gram = x xᵀ.</summary>
    /// <param name="x">[rows, columns], F32; at most 2048 rows.</param>
    /// <param name="gram">[rows, rows], F64.</param>
    /// <param name="deviation">Device address of an I32 that is raised to the bits (as a float) of max |gram − I|, or
    /// 0. NaN ranks highest.</param>
    public static void Run(Tensor x, Tensor gram, ulong deviation = 0)
    {
        Check.Operand(x, DType.F32, [-1, -1]);
        int rows = x.Dim(0);
        int columns = x.Dim(1);
        if (rows > 2048)
            throw new ArgumentException($"x is {x.Shape}, expected at most 2048 rows", nameof(x));
        Check.Operand(gram, x, DType.F64, [rows, rows]);
        using Tensor batch = gram.View((1, rows, rows));
        Run(new GemmOperand(x, 0, columns), columns, batch, deviation, 0);
    }

    /// <summary>Computes the Gram matrices X_b X_bᵀ of a batch.</summary>
    /// <param name="x">F32: where the first X begins, its row length, and the elements from one X to the next.</param>
    /// <param name="columns">Columns of each X, which is densely stored.</param>
    /// <param name="gram">[batch, rows, rows], F64.</param>
    /// <param name="deviation">Device address of the first I32 that is raised, or 0.</param>
    /// <param name="deviationStride">Words from one to the next.</param>
    internal static void Run(in GemmOperand x, int columns, Tensor gram, ulong deviation, int deviationStride)
    {
        int batch = gram.Dim(0);
        int rows = gram.Dim(1);
        Device device = gram.Device;
        if (rows == 0)
            return;
        // By the shape alone, so that the order of the sums does not depend on the device.
        int wanted = Math.Clamp(
            Launch.Blocks(columns, ChunkColumns),
            1,
            Math.Max(1, Math.Min(MostChunks, MostPartials / (rows * rows)))
        );
        int chunk = Launch.Blocks(Launch.Blocks(columns, wanted), 8) * 8;
        int chunks = chunk == 0 ? 1 : Launch.Blocks(columns, chunk);
        using var partial = Tensor.Empty(device, (batch, chunks, rows, rows), DType.F64);
        int tiles = (rows + 1) / 2;
        int pairs = tiles * (tiles + 1) / 2;
        var sum = new GramPartialArgs
        {
            X = x.Pointer,
            Partial = partial.Pointer,
            XStride = x.Stride,
            Rows = rows,
            Columns = columns,
            Chunk = chunk,
        };
        Launch.Batch(
            GramPartialArgs.Kernel,
            device,
            sum,
            (Launch.Blocks(pairs, GramPartialArgs.Kernel.Threads), chunks, batch)
        );
        var reduce = new GramReduceArgs
        {
            Partial = partial.Pointer,
            Gram = gram.Pointer,
            Deviation = deviation,
            Rows = rows,
            Chunks = chunks,
            DeviationStride = deviationStride,
        };
        Launch.Batch(
            GramReduceArgs.Kernel,
            device,
            reduce,
            (Launch.Blocks(rows * rows, GramReduceArgs.Kernel.Threads), batch)
        );
    }
}
