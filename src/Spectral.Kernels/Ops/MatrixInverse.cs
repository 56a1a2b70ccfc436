using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Inverts small matrices, and computes the adjoint of that.</summary>
public static class MatrixInverse
{
    /// <summary>Largest number of rows, and of columns, of a matrix.</summary>
    public const int MaxOrder = 256;

    private const int SmallOrder = 32; // a lane of a warp for each row

    /// <summary>
    /// Computes <c>y = x⁻¹</c> for each matrix of a batch, in F64 with partial pivoting, rounded once.
    /// </summary>
    /// <param name="x">[b, n, n] F32, n up to <see cref="MaxOrder"/>.</param>
    /// <param name="y">[b, n, n] F32; written; may be x. Infinite or NaN where a matrix is singular.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor x, Tensor y)
    {
        VerifySquare(x);
        Check.SameAs(y, x);
        if (x.Count == 0)
            return;
        (int batch, int n) = (x.Dim(0), x.Dim(1));
        if (n <= SmallOrder)
        {
            MatrixInverseArgs small = new()
            {
                X = x.Pointer,
                Y = y.Pointer,
                N = n,
            };
            MatrixInverseArgs.SmallKernel.Launch(x.Device, small, batch);
            return;
        }

        bool fits = MatrixInverseArgs.SharedBytes(n, withMatrix: true) <= x.Device.SharedBytesPerBlock;
        using Tensor? work = fits ? null : Tensor.Empty(x.Device, (batch, n, n | 1), DType.F64);
        var args = new MatrixInverseArgs
        {
            X = x.Pointer,
            Y = y.Pointer,
            Work = work?.Pointer ?? 0,
            N = n,
        };
        int threads = n <= 64 ? 256 : MatrixInverseArgs.Kernel.Threads;
        MatrixInverseArgs.Kernel.Launch(x.Device, args, batch, threads);
    }

    /// <summary>Computes <c>dx = −yᵀ dy yᵀ (+ dx)</c>, the adjoint of <see cref="Forward"/>.</summary>
    /// <param name="y">[b, n, n] F32: what forward wrote.</param>
    /// <param name="dy">[b, n, n] F32.</param>
    /// <param name="dx">[b, n, n] F32; must not overlap y or dy.</param>
    /// <param name="accumulate">Whether it is added to what dx holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(Tensor y, Tensor dy, Tensor dx, bool accumulate = false)
    {
        VerifySquare(y);
        Check.SameAs(dy, y);
        Check.SameAs(dx, y);
        if (y.Count == 0)
            return;
        (int batch, int n) = (y.Dim(0), y.Dim(1));
        using var product = Tensor.Empty(y.Device, y.Shape);
        Gemm.Run(All(dy), All(y).Transpose(), All(product), new GemmSize(n, n, n, batch));
        Gemm.Run(All(y).Transpose(), All(product), All(dx), new GemmSize(n, n, n, batch), -1, accumulate ? 1 : 0);

        GemmOperand All(Tensor tensor) => new(tensor, 0, n, (long)n * n);
    }

    private static void VerifySquare(Tensor x, [CallerArgumentExpression(nameof(x))] string name = "")
    {
        Check.Operand(x, DType.F32, [-1, -1, -1], name);
        if (x.Dim(1) != x.Dim(2) || x.Dim(1) > MaxOrder)
        {
            throw new ArgumentException(
                $"{name} is {x.Shape}, expected square matrices of order up to {MaxOrder}",
                name
            );
        }
    }
}
