namespace Spectral.Kernels;

/// <summary>Argument of <c>jacobi_svd</c>.</summary>
[KernelArgs("small_svd", "jacobi_svd")]
public struct JacobiSvdArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong A, Rotations, Left, Values, Right, Status;

    /// <summary>Order.</summary>
    public int N;
}

/// <summary>SVD of the small square matrix that a sketch leaves: one-sided Jacobi in one block, or the library's.</summary>
internal static class SmallSvd
{
    private const int BlockThreads = 512, StaticSharedBytes = 1024;   // static: the block's reductions

    /// <summary>a = left · diag(values) · right, in F64 inside.</summary>
    /// <param name="a">[n, n], F32.</param>
    /// <param name="left">[n, n], F32: column c is left vector c.</param>
    /// <param name="values">[n], F32, descending.</param>
    /// <param name="right">[n, n], F32: row c is right vector c.</param>
    /// <param name="where">Which implementation.</param>
    /// <returns>A reading of the outcome, to be called once: the sweeps of the one-block kernel, 0 for the library.</returns>
    /// <exception cref="ArithmeticException">Thrown by the reading: no convergence.</exception>
    public static Outcome Run(Tensor a, Tensor left, Tensor values, Tensor right, SmallProblems where)
    {
        Device device = a.Device;
        int n = a.Dim(0), bytes = (n * (n | 1) + 4 * n + 1) * sizeof(double);
        bool oneBlock = CholeskyInverse.OneBlock(device, n, bytes + StaticSharedBytes, where);
        Tensor status = Tensor.Zeros(device, 1, DType.I32);
        if (oneBlock)
        {
            using Tensor rotations = Tensor.Empty(device, (n, n), DType.F64);
            var args = new JacobiSvdArgs { A = a.Pointer, Rotations = rotations.Pointer, Left = left.Pointer, Values = values.Pointer, Right = right.Pointer, Status = status.Pointer, N = n };
            device.Kernel("small_svd", "jacobi_svd").Launch(args, 1, BlockThreads, bytes);
            return new Outcome(status, n, IsLibrary: false);
        }
        using Tensor wide = Tensor.Empty(device, (n, n), DType.F64), u = Tensor.Empty(device, (n, n), DType.F64);
        using Tensor vt = Tensor.Empty(device, (n, n), DType.F64), s = Tensor.Empty(device, n, DType.F64);
        SvdSteps.Widen(a, wide);
        // The column-major reader sees the transpose of a: its left vectors, one per stored row, are our right ones, and its
        // VT, one vector per stored column, holds our left ones.
        device.Solver.SingularValues(wide, s, u, vt, status.Pointer);
        SvdSteps.Narrow(u, right);
        SvdSteps.Narrow(vt, left);
        SvdSteps.Narrow(s, values);
        return new Outcome(status, n, IsLibrary: true);
    }

    internal readonly record struct Outcome(Tensor Status, int N, bool IsLibrary) : IDisposable
    {
        public int Sweeps()
        {
            int status = Status.ToInt32Array()[0];
            if (IsLibrary ? status != 0 : status < 0)
                throw new ArithmeticException($"the singular value decomposition of the {N} × {N} core did not converge");
            return status;
        }

        public void Dispose() => Status.Dispose();
    }
}
