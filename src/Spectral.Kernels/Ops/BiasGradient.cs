using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Sums the rows of a matrix, as the gradient of a bias needs.</summary>
public static class BiasGradient
{
    private const int ChunkRows = 64;

    /// <summary>
    /// Computes <c>dBias[j] (+)= Σᵢ dy[i, j]</c> in F32, in an order that depends on the shape alone.
    /// </summary>
    /// <param name="dy">[N, F] F32 or BF16.</param>
    /// <param name="dBias">[F] F32.</param>
    /// <param name="accumulate">Add to what it holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor dy, Tensor dBias, bool accumulate)
    {
        Check.Floating(dy, [-1, -1]);
        Check.Operand(dBias, dy, DType.F32, [dy.Dim(1)]);
        if (dBias.Count == 0)
            return;
        if (dy.Count == 0)
        {
            if (!accumulate)
                dBias.Clear();
            return;
        }
        int rows = dy.Dim(0);
        int chunk = Launch.Chunk(rows, ChunkRows);
        int chunks = Launch.Blocks(rows, chunk);
        if (chunks == 1)
        {
            Sum(dy, dBias, 1, rows, accumulate);
            return;
        }
        using var partials = Tensor.Empty(dy.Device, (chunks, dy.Dim(1)));
        Sum(dy, partials, chunks, chunk, false);
        Run(partials, dBias, accumulate);
    }

    private static void Sum(Tensor dy, Tensor sums, int chunks, int chunk, bool accumulate)
    {
        var args = new BiasGradientArgs
        {
            Dy = dy.Pointer,
            Sums = sums.Pointer,
            Rows = dy.Dim(0),
            Columns = dy.Dim(1),
            Chunk = chunk,
            Accumulate = accumulate ? 1 : 0,
        };
        BiasGradientArgs.Kernel.Launch(
            dy.Device,
            dy.DType,
            args,
            (Launch.Blocks(args.Columns, BiasGradientArgs.Kernel.Threads * (16 / dy.DType.Size())), chunks)
        );
    }
}
