namespace Spectral.Kernels;

/// <summary>Argument of <c>cholesky_inverse</c>.</summary>
[KernelArgs("cholesky_inverse", "cholesky_inverse")]
public struct CholeskyInverseArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Gram, Inverse, Status;

    /// <summary>Added to the diagonal of the scaled matrix, which is 1.</summary>
    public double Shift;

    /// <summary>Order.</summary>
    public int N;
}

/// <summary>Argument of <c>cholesky_scale</c>.</summary>
[KernelArgs("cholesky_inverse", "cholesky_scale")]
public struct CholeskyScaleArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Gram, Scaled;

    /// <summary>Added to the diagonal of the scaled matrix, which is 1.</summary>
    public double Shift;

    /// <summary>Order.</summary>
    public int N;
}

/// <summary>Argument of <c>cholesky_finish</c>.</summary>
[KernelArgs("cholesky_inverse", "cholesky_finish")]
public struct CholeskyFinishArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Gram, FactorInverse, Inverse;

    /// <summary>Order.</summary>
    public int N;
}

/// <summary>Where the small factorisations (the order of the sketch) are computed.</summary>
internal enum SmallProblems
{
    /// <summary>In one block on a GPU up to the order that fits; by the library beyond it and on the CPU device.</summary>
    Auto,
    /// <summary>In one block: our kernels.</summary>
    OneBlock,
    /// <summary>cuSOLVER, or LAPACK on the CPU device.</summary>
    Library,
}

/// <summary>The inverse Cholesky factor of a Gram matrix, for CholeskyQR.</summary>
internal static class CholeskyInverse
{
    private const int BlockThreads = 512, RowThreads = 64, LargestOneBlock = 144;

    /// <summary>inverse = L⁻¹D with D = diag(gram)^(−1/2) and D gram D + shift·I = L Lᵀ: rows of inverse · X are orthonormal when gram = X Xᵀ.</summary>
    /// <param name="gram">[n, n], F64, symmetric.</param>
    /// <param name="inverse">[n, n], F32, lower triangular.</param>
    /// <param name="status">Address of an I32 that is 0: becomes the number of the first pivot that is not positive, counted from 1.</param>
    /// <param name="shift">Added to the unit diagonal.</param>
    /// <param name="where">Which implementation.</param>
    public static void Run(Tensor gram, Tensor inverse, ulong status, double shift, SmallProblems where)
    {
        Device device = gram.Device;
        int n = gram.Dim(0), rowBlocks = (n + RowThreads - 1) / RowThreads;
        int bytes = SharedBytes(n);
        if (OneBlock(device, n, bytes, where))
        {
            var args = new CholeskyInverseArgs { Gram = gram.Pointer, Inverse = inverse.Pointer, Status = status, Shift = shift, N = n };
            device.Kernel("cholesky_inverse", "cholesky_inverse").Launch(args, 1, BlockThreads, bytes);
            return;
        }
        using Tensor scaled = Tensor.Empty(device, (n, n), DType.F64);
        device.Kernel("cholesky_inverse", "cholesky_scale").Launch(new CholeskyScaleArgs { Gram = gram.Pointer, Scaled = scaled.Pointer, Shift = shift, N = n }, rowBlocks, RowThreads);
        device.Solver.CholeskyInverse(scaled, status);
        device.Kernel("cholesky_inverse", "cholesky_finish").Launch(new CholeskyFinishArgs { Gram = gram.Pointer, FactorInverse = scaled.Pointer, Inverse = inverse.Pointer, N = n }, rowBlocks, RowThreads);
    }

    /// <summary>Is a problem of order n, which wants so much shared memory, to be solved in one block?</summary>
    public static bool OneBlock(Device device, int n, int sharedBytes, SmallProblems where) => where switch
    {
        SmallProblems.Library => false,
        SmallProblems.OneBlock => n <= LargestOneBlock && sharedBytes <= device.SharedBytesPerBlock
            ? true
            : throw new ArgumentException($"order {n} does not fit into one block of {device} (at most {LargestOneBlock}, {sharedBytes} of {device.SharedBytesPerBlock} bytes)", nameof(n)),
        _ => device.Kind == DeviceKind.Cuda && n <= LargestOneBlock && sharedBytes <= device.SharedBytesPerBlock,
    };

    private static int SharedBytes(int n) => (n * (n | 1) + 2 * n) * sizeof(double);
}
