using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Makes random vectors with independent standard normal entries, the same on every device.</summary>
public static class GaussianMatrix
{
    private const int VectorsPerThread = 4;

    /// <summary>
    /// Fills <paramref name="y"/>; entry i of vector j depends on the seed, the stream, i and j alone (Philox4x32-10,
    /// Box-Muller).
    /// </summary>
    /// <param name="y">[vectors, length], F32.</param>
    /// <param name="seed">Key of the generator.</param>
    /// <param name="stream">Distinguishes matrices of one seed, a layer's number for instance.</param>
    public static void Run(Tensor y, ulong seed, ulong stream)
    {
        Check.Operand(y, DType.F32, [-1, -1]);
        using Tensor batch = y.View((1, y.Dim(0), y.Dim(1)));
        using Tensor streams = AddressTable.Upload(y.Device, [stream]);
        Run(batch, seed, streams, parts: null);
    }

    /// <summary>Fills a batch of matrices, each with a stream of its own.</summary>
    /// <param name="y">[batch, vectors, length], F32.</param>
    /// <param name="seed">Key of the generator.</param>
    /// <param name="streams">Table of <see cref="AddressTable"/>: a stream per matrix.</param>
    /// <param name="parts">[batch, 3, vectors, length] BF16: y once more, split in three; or null.</param>
    internal static void Run(Tensor y, ulong seed, Tensor streams, Tensor? parts)
    {
        if (y.Count == 0)
            return;
        int vectors = y.Dim(1);
        int length = y.Dim(2);
        var args = new GaussianMatrixArgs
        {
            Y = y.Pointer,
            Parts = parts?.Pointer ?? 0,
            Streams = streams.Pointer,
            Seed = seed,
            Vectors = vectors,
            Length = length,
        };
        int blocks = Launch.Blocks(length, GaussianMatrixArgs.Kernel.Threads);
        Grid grid = (checked(blocks * Launch.Blocks(vectors, VectorsPerThread)), y.Dim(0));
        Launch.Batch(GaussianMatrixArgs.Kernel, y.Device, args, grid);
    }
}
