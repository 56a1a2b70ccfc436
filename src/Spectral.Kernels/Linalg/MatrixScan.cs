namespace Spectral.Kernels.Linalg;

/// <summary>Argument of <c>matrix_scan_f32</c> and <c>matrix_scan_bf16</c>.</summary>
[KernelArgs("matrix_scan", "matrix_scan_f32", "matrix_scan_bf16")]
public struct MatrixScanArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong X;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong PartialSum;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong PartialMax;

    /// <summary>Number of elements.</summary>
    public long Count;

    /// <summary>Runs of 128 bytes per thread.</summary>
    public int Steps;
}

/// <summary>Argument of <c>matrix_scan_finish</c>.</summary>
[KernelArgs("matrix_scan", "matrix_scan_finish")]
public struct MatrixScanFinishArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong PartialSum;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong PartialMax;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Out;

    /// <summary>Number of partial results.</summary>
    public int Partials;
}

/// <summary>One pass over a matrix for its Frobenius norm and largest magnitude; also the check for NaN and infinity.</summary>
public static class MatrixScan
{
    private const int ScanThreads = 64;
    private const int FinishThreads = 256;
    private const int RunBytes = 128;
    private const int FewestSteps = 4;
    private const int MostPartials = 1 << 16;

    /// <summary>The Frobenius norm (F64 sums), and the largest magnitude, which is infinite when any element is NaN or infinite.</summary>
    /// <param name="x">Any shape, F32 or BF16.</param>
    public static (double FrobeniusNorm, double Largest) Run(Tensor x)
    {
        Check.Floating(x, nameof(x));
        if (x.Count == 0)
            return (0, 0);
        Device device = x.Device;
        long perStep = ScanThreads * (RunBytes / x.DType.Size());
        int steps = (int)
            Math.Max(
                FewestSteps,
                (x.Count + perStep * (MostPartials / ScanThreads) - 1) / (perStep * (MostPartials / ScanThreads))
            );
        int blocks = (int)((x.Count + perStep * steps - 1) / (perStep * steps));
        int partials = blocks * ScanThreads;
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
        device.Kernel("matrix_scan", "matrix_scan_" + x.DType.Suffix()).Launch(scan, blocks, ScanThreads);
        var finish = new MatrixScanFinishArgs
        {
            PartialSum = sums.Pointer,
            PartialMax = maxima.Pointer,
            Out = result.Pointer,
            Partials = partials,
        };
        device.Kernel("matrix_scan", "matrix_scan_finish").Launch(finish, 1, FinishThreads);
        double[] values = result.ToDoubleArray();
        return (Math.Sqrt(values[0]), values[1]);
    }
}
