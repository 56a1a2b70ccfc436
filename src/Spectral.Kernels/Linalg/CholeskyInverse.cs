using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Linalg;

/// <summary>Computes the inverse Cholesky factor of a Gram matrix, for CholeskyQR.</summary>
internal static class CholeskyInverse
{
    private const int LargestOneBlock = 144;

    /// <summary>
    /// Computes inverse = L⁻¹D with D = diag(gram)^(−1/2) and D gram D + shift·I = L Lᵀ: the rows of inverse · X are
    /// orthonormal when gram = X Xᵀ.
    /// </summary>
    /// <param name="gram">[batch, n, n], F64, symmetric.</param>
    /// <param name="inverse">[batch, n, n], F32, lower triangular.</param>
    /// <param name="status">Device address of an I32 that is 0. It becomes the number, counted from 1, of a pivot that
    /// is not above rounding or not above the least one.</param>
    /// <param name="statusStride">Words from one matrix's status to the next.</param>
    /// <param name="shift">Added to the unit diagonal.</param>
    /// <param name="leastPivot">Least pivot of the scaled matrix; its inverse is about the square of the condition
    /// number that is accepted.</param>
    /// <param name="where">Implementation to use: one block, or the library.</param>
    public static void Run(
        Tensor gram,
        Tensor inverse,
        ulong status,
        int statusStride,
        double shift,
        double leastPivot,
        SmallProblems where
    )
    {
        Device device = gram.Device;
        int batch = gram.Dim(0);
        int n = gram.Dim(1);
        int rowBlocks = Launch.Blocks(n, CholeskyScaleArgs.Kernel.Threads);
        if (OneBlock(device, n, CholeskyInverseArgs.SharedBytes(n), where))
        {
            var args = new CholeskyInverseArgs
            {
                Gram = gram.Pointer,
                Inverse = inverse.Pointer,
                Status = status,
                Shift = shift,
                LeastPivot = leastPivot,
                N = n,
                StatusStride = statusStride,
            };
            CholeskyInverseArgs.Kernel.Launch(device, args, batch);
            return;
        }
        using var scaled = Tensor.Empty(device, (n, n), DType.F64);
        using var info = Tensor.Empty(device, 1, DType.I32);
        for (int b = 0; b < batch; b++)
        {
            ulong from = gram.Pointer + (ulong)b * (ulong)n * (ulong)n * sizeof(double);
            ulong to = inverse.Pointer + (ulong)b * (ulong)n * (ulong)n * sizeof(float);
            ulong word = status + (ulong)(b * statusStride) * sizeof(int);
            CholeskyScaleArgs.Kernel.Launch(
                device,
                new CholeskyScaleArgs
                {
                    Gram = from,
                    Scaled = scaled.Pointer,
                    Shift = shift,
                    N = n,
                },
                rowBlocks
            );
            device.Solver.CholeskyInverse(scaled, info.Pointer);
            var finish = new CholeskyFinishArgs
            {
                Gram = from,
                FactorInverse = scaled.Pointer,
                Inverse = to,
                Info = info.Pointer,
                Status = word,
                LeastPivot = leastPivot,
                N = n,
            };
            CholeskyFinishArgs.Kernel.Launch(device, finish, rowBlocks);
        }
    }

    /// <summary>
    /// Returns whether a problem of order n that needs this much shared memory, in bytes, is solved in one block.
    /// </summary>
    public static bool OneBlock(Device device, int n, int sharedBytes, SmallProblems where) =>
        where switch
        {
            SmallProblems.Library => false,
            SmallProblems.OneBlock => n <= LargestOneBlock && sharedBytes <= device.SharedBytesPerBlock
                ? true
                : throw new ArgumentException(
                    $"order {n} does not fit into one block of {device} (at most {LargestOneBlock}, "
                        + $"{sharedBytes} of {device.SharedBytesPerBlock} bytes)",
                    nameof(n)
                ),
            _ => device.Kind == DeviceKind.Cuda && n <= LargestOneBlock && sharedBytes <= device.SharedBytesPerBlock,
        };
}
