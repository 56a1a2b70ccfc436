namespace Spectral.Kernels;

/// <summary>Argument of <c>gaussian_matrix</c>.</summary>
[KernelArgs("gaussian_matrix", "gaussian_matrix")]
public struct GaussianMatrixArgs
{
    /// <summary>Device address of the result.</summary>
    public ulong Y;

    /// <summary>Key and stream of the generator.</summary>
    public ulong Seed, Stream;

    /// <summary>Shape of the result.</summary>
    public int Vectors, Length;
}

/// <summary>Random vectors with independent standard normal entries, the same on every device.</summary>
public static class GaussianMatrix
{
    private const int Threads = 256, VectorsPerThread = 4;

    /// <summary>Fills <paramref name="y"/>; entry i of vector j depends on the seed, the stream, i and j alone (Philox4x32-10, Box-Muller).</summary>
    /// <param name="y">[vectors, length], F32.</param>
    /// <param name="seed">Key of the generator.</param>
    /// <param name="stream">Distinguishes matrices of one seed, a layer's number for instance.</param>
    public static void Run(Tensor y, ulong seed, ulong stream)
    {
        Check.Shape(y, nameof(y), -1, -1);
        Check.DType(y, nameof(y), DType.F32);
        if (y.Count == 0) return;
        var args = new GaussianMatrixArgs { Y = y.Pointer, Seed = seed, Stream = stream, Vectors = y.Dim(0), Length = y.Dim(1) };
        y.Device.Kernel("gaussian_matrix", "gaussian_matrix").Launch(args, (y.Dim(1) + Threads - 1) / Threads, (y.Dim(0) + VectorsPerThread - 1) / VectorsPerThread, 1, Threads);
    }
}
