using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Reads a matrix once for its Frobenius norm and its largest magnitude, which also finds NaN and infinity.
/// </summary>
public static class MatrixScan
{
    private const int RunBytes = 128;
    private const int FewestSteps = 4;
    private const int MostPartials = 1 << 16;

    /// <summary>
    /// Returns the Frobenius norm (F64 sums) and the largest magnitude, which is infinite if any element is NaN or
    /// infinite.
    /// </summary>
    /// <param name="x">Any shape, F32 or BF16.</param>
    public static (double FrobeniusNorm, double Largest) Run(Tensor x)
    {
        Check.Floating(x);
        if (x.Count == 0)
            return (0, 0);
        Device device = x.Device;
        int threads = MatrixScanArgs.Kernel.Threads;
        long perStep = threads * (RunBytes / x.DType.Size());
        int steps = (int)
            Math.Max(
                FewestSteps,
                (x.Count + perStep * (MostPartials / threads) - 1) / (perStep * (MostPartials / threads))
            );
        int blocks = (int)((x.Count + perStep * steps - 1) / (perStep * steps));
        int partials = blocks * threads;
        using var sums = Tensor.Empty(device, partials, DType.F64);
        using var maxima = Tensor.Empty(device, partials);
        using var result = Tensor.Empty(device, 2, DType.F64);
        var scan = new MatrixScanArgs
        {
            X = x.Pointer,
            PartialSum = sums.Pointer,
            PartialMax = maxima.Pointer,
            Count = x.Count,
            Steps = steps,
        };
        MatrixScanArgs.Kernel.Launch(device, x.DType, scan, blocks);
        var finish = new MatrixScanFinishArgs
        {
            PartialSum = sums.Pointer,
            PartialMax = maxima.Pointer,
            Out = result.Pointer,
            Partials = partials,
        };
        MatrixScanFinishArgs.Kernel.Launch(device, finish, 1);
        double[] values = result.ToDoubleArray();
        return (Math.Sqrt(values[0]), values[1]);
    }
}
