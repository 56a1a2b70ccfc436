using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Argument of <c>gaussian_matrix</c>.</summary>
[KernelArgs("gaussian_matrix", "gaussian_matrix")]
public struct GaussianMatrixArgs
{
    /// <summary>Device address, as in the kernel's contract; Parts may be 0.</summary>
    public ulong Y;

    /// <summary>Device address, as in the kernel's contract; Parts may be 0.</summary>
    public ulong Parts;

    /// <summary>Device address, as in the kernel's contract; Parts may be 0.</summary>
    public ulong Streams;

    /// <summary>Key of the generator.</summary>
    public ulong Seed;

    /// <summary>Shape of the result.</summary>
    public int Vectors;

    /// <summary>Shape of the result.</summary>
    public int Length;
}

/// <summary>Random vectors with independent standard normal entries, the same on every device.</summary>
public static class GaussianMatrix
{
    private const int Threads = 256;
    private const int VectorsPerThread = 4;

    /// <summary>Fills <paramref name="y"/>; entry i of vector j depends on the seed, the stream, i and j alone (Philox4x32-10, Box-Muller).</summary>
    /// <param name="y">[vectors, length], F32.</param>
    /// <param name="seed">Key of the generator.</param>
    /// <param name="stream">Distinguishes matrices of one seed, a layer's number for instance.</param>
    public static void Run(Tensor y, ulong seed, ulong stream)
    {
        Check.Shape(y, nameof(y), -1, -1);
        Check.DType(y, nameof(y), DType.F32);
        using Tensor batch = y.View((1, y.Dim(0), y.Dim(1)));
        using Tensor streams = AddressTable.Upload(y.Device, [stream]);
        Run(batch, seed, streams, parts: null);
    }

    /// <summary>The same for a batch of matrices, each with a stream of its own.</summary>
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
        y.Device.Kernel("gaussian_matrix", "gaussian_matrix")
            .Launch(args, Launch.Blocks(length, Threads), Launch.Blocks(vectors, VectorsPerThread), y.Dim(0), Threads);
    }
}
