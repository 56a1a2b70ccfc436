namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of the first stage in <c>matrix_scan.cu</c>: the sum of squares and the largest magnitude that each thread
/// finds.
/// </summary>
public struct MatrixScanArgs
{
    /// <summary>
    /// The kernels by the type of x, <c>matrix_scan_f32</c> and <c>matrix_scan_bf16</c>; one thread per
    /// <see cref="Steps"/> runs of 128 bytes.
    /// </summary>
    public static readonly KernelEntry<MatrixScanArgs> Kernel = new(
        "matrix_scan",
        64,
        "matrix_scan_f32",
        "matrix_scan_bf16"
    );

    /// <summary>
    /// Device address of x, [Count], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>Device address of each thread's sum of squares, [threads] F64; written.</summary>
    public ulong PartialSum;

    /// <summary>Device address of each thread's largest magnitude, [threads] F32; written.</summary>
    public ulong PartialMax;

    /// <summary>Number of elements of x.</summary>
    public long Count;

    /// <summary>Number of runs of 128 bytes that a thread reads.</summary>
    public int Steps;
}

/// <summary>Arguments of <c>matrix_scan_finish</c>: the results of all threads combined.</summary>
public struct MatrixScanFinishArgs
{
    /// <summary>The kernel <c>matrix_scan_finish</c>; one block.</summary>
    public static readonly KernelEntry<MatrixScanFinishArgs> Kernel = new("matrix_scan", 256, "matrix_scan_finish")
    {
        StaticSharedBytes = 384,
    };

    /// <summary>Device address of the sums of squares, [Partials] F64.</summary>
    public ulong PartialSum;

    /// <summary>Device address of the largest magnitudes, [Partials] F32.</summary>
    public ulong PartialMax;

    /// <summary>Device address of the result, two F64: the sum of squares and the largest magnitude; written.</summary>
    public ulong Out;

    /// <summary>Number of threads of the first stage.</summary>
    public int Partials;
}
