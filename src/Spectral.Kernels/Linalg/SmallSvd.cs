using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Computes the SVD of the small square matrix that a sketch leaves, by one-sided Jacobi in one block or by the
/// library.
/// </summary>
internal static class SmallSvd
{
    /// <summary>Computes a = left · diag(values) · right, in F64 inside.</summary>
    /// <param name="a">[n, n], F32.</param>
    /// <param name="left">[n, n], F32: column c is left vector c.</param>
    /// <param name="values">[n], F32, descending.</param>
    /// <param name="right">[n, n], F32: row c is right vector c.</param>
    /// <param name="where">Implementation to use: one block, or the library.</param>
    /// <returns>A reading of the outcome, to be called once: the sweeps of the one-block kernel, 0 for the
    /// library.</returns>
    /// <exception cref="ArithmeticException">Thrown by the reading: no convergence.</exception>
    public static Outcome Run(Tensor a, Tensor left, Tensor values, Tensor right, SmallProblems where)
    {
        int n = a.Dim(0);
        bool oneBlock = OneBlock(a.Device, n, where);
        var status = Tensor.Zeros(a.Device, 1, DType.I32);
        using Tensor batch = a.View((1, n, n));
        Run(batch, left, values.Pointer, right, status.Pointer, 0, where);
        return new Outcome(status, n, IsLibrary: !oneBlock);
    }

    /// <summary>Computes a_b = left_b · diag(values_b) · right_b for each matrix of a batch.</summary>
    /// <param name="a">[batch, n, n], F32.</param>
    /// <param name="left">[batch, n, n], F32.</param>
    /// <param name="values">Device address of the first matrix's values.</param>
    /// <param name="right">[batch, n, n], F32.</param>
    /// <param name="status">Device address of the first matrix's I32: what <see cref="Failed"/> judges.</param>
    /// <param name="stride">Words from one matrix's values and status to the next.</param>
    /// <param name="where">Implementation to use: one block, or the library.</param>
    public static void Run(
        Tensor a,
        Tensor left,
        ulong values,
        Tensor right,
        ulong status,
        int stride,
        SmallProblems where
    )
    {
        Device device = a.Device;
        int batch = a.Dim(0);
        int n = a.Dim(1);
        if (OneBlock(device, n, where))
        {
            using var rotations = Tensor.Empty(device, (batch, n, n), DType.F64);
            var args = new JacobiSvdArgs
            {
                A = a.Pointer,
                Rotations = rotations.Pointer,
                Left = left.Pointer,
                Values = values,
                Right = right.Pointer,
                Status = status,
                N = n,
                ReportStride = stride,
            };
            JacobiSvdArgs.Kernel.Launch(device, args, batch);
            return;
        }
        using var wide = Tensor.Empty(device, (n, n), DType.F64);
        using var u = Tensor.Empty(device, (n, n), DType.F64);
        using var vt = Tensor.Empty(device, (n, n), DType.F64);
        using var s = Tensor.Empty(device, n, DType.F64);
        for (int b = 0; b < batch; b++)
        {
            ulong square = (ulong)b * (ulong)n * (ulong)n * sizeof(float);
            ulong word = (ulong)(b * stride) * sizeof(int);
            SvdSteps.Widen(a.Pointer + square, wide);
            // The column-major reader sees the transpose of a: its left vectors, one per stored row, are our right
            // ones, and its VT, one vector per stored column, holds our left ones.
            device.Solver.SingularValues(wide, s, u, vt, status + word);
            SvdSteps.Narrow(u, right.Pointer + square);
            SvdSteps.Narrow(vt, left.Pointer + square);
            SvdSteps.Narrow(s, values + word);
        }
    }

    /// <summary>
    /// Returns whether a problem of order n is solved in one block. Its Cholesky factor, which needs less shared
    /// memory, then fits too.
    /// </summary>
    public static bool OneBlock(Device device, int n, SmallProblems where) =>
        CholeskyInverse.OneBlock(
            device,
            n,
            JacobiSvdArgs.SharedBytes(n) + JacobiSvdArgs.Kernel.StaticSharedBytes,
            where
        );

    /// <summary>Returns whether a status means that the decomposition did not converge.</summary>
    public static bool Failed(int status, bool oneBlock) => oneBlock ? status < 0 : status != 0;

    internal readonly record struct Outcome(Tensor Status, int N, bool IsLibrary) : IDisposable
    {
        public int Sweeps()
        {
            int status = Status.ToInt32Array()[0];
            if (Failed(status, !IsLibrary))
            {
                throw new ArithmeticException(
                    $"the singular value decomposition of the {N} × {N} core did not converge"
                );
            }

            return status;
        }

        public void Dispose() => Status.Dispose();
    }
}
