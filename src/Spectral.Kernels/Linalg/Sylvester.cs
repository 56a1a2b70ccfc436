using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Solves Sylvester equations of small symmetric matrices, by their eigenvectors. All work is that of kernels and
/// products of matrices, so that a captured step may contain it.
/// </summary>
public static class Sylvester
{
    /// <summary>Largest order of the matrices; a device with little shared memory takes less.</summary>
    public const int MaxOrder = 128;

    /// <summary>
    /// Solves <c>A X + X B = F</c>. With A = U diag(a) Uᵀ and B = V diag(b) Vᵀ the solution is X = U Y Vᵀ,
    /// y_ij = (Uᵀ F V)_ij / (a_i + b_j). Eigenvectors are F64 inside and rounded to F32.
    /// </summary>
    /// <param name="a">[n, n] F32, symmetric and positive semidefinite; n up to <see cref="MaxOrder"/>.</param>
    /// <param name="b">[n, n] F32, symmetric and positive semidefinite.</param>
    /// <param name="f">[n, n] F32.</param>
    /// <param name="x">[n, n] F32; written; may be f. Where a_i + b_j is 0, that component is 0.</param>
    /// <exception cref="ArgumentException">
    /// Shape, type or device does not fit, or the device has too little shared memory for the order.
    /// </exception>
    public static void Solve(Tensor a, Tensor b, Tensor f, Tensor x)
    {
        Check.Operand(a, DType.F32, [-1, -1]);
        int n = a.Dim(0);
        Check.Operand(a, DType.F32, [n, n]);
        Check.SameAs(b, a);
        Check.SameAs(f, a);
        Check.SameAs(x, a);
        if (n == 0)
            return;
        Device device = a.Device;
        int shared = JacobiSvdArgs.SharedBytes(n) + JacobiSvdArgs.Kernel.StaticSharedBytes;
        if (n > MaxOrder || shared > device.SharedBytesPerBlock)
        {
            throw new ArgumentException(
                $"a is {a.Shape}, expected an order of at most {MaxOrder} that fits into the "
                    + $"{device.SharedBytesPerBlock} bytes of a block of {device}",
                nameof(a)
            );
        }

        using var vectors = Tensor.Empty(device, (2, n, n)); // those of A, then of B, one per row
        using var values = Tensor.Empty(device, (2, n));
        Decompose(a, b, vectors, values);
        var ofA = new GemmOperand(vectors, 0, n);
        var ofB = new GemmOperand(vectors, (long)n * n, n);
        var size = new GemmSize(n, n, n);
        using var product = Tensor.Empty(device, (n, n));
        using var middle = Tensor.Empty(device, (n, n));
        Gemm.Run(ofA, new GemmOperand(f, 0, n), new GemmOperand(product, 0, n), size);
        Gemm.Run(new GemmOperand(product, 0, n), ofB.Transpose(), new GemmOperand(middle, 0, n), size);
        var args = new SylvesterArgs
        {
            T = middle.Pointer,
            A = values.Pointer,
            B = values.Pointer + (ulong)n * sizeof(float),
            Y = middle.Pointer,
            N = n,
        };
        SylvesterArgs.Kernel.Launch(device, args, Launch.Blocks(middle.Count, SylvesterArgs.Kernel.Threads));
        Gemm.Run(ofA.Transpose(), new GemmOperand(middle, 0, n), new GemmOperand(product, 0, n), size);
        Gemm.Run(new GemmOperand(product, 0, n), ofB, new GemmOperand(x, 0, n), size);
    }

    /// <summary>The right singular vectors of a symmetric matrix are its eigenvectors.</summary>
    private static void Decompose(Tensor a, Tensor b, Tensor vectors, Tensor values)
    {
        (Device device, int n) = (a.Device, a.Dim(0));
        using var both = Tensor.Empty(device, (2 * n, n));
        using (Tensor first = both.Rows(0, n))
            first.CopyFrom(a);
        using (Tensor second = both.Rows(n, n))
            second.CopyFrom(b);
        using var rotations = Tensor.Empty(device, (2, n, n), DType.F64);
        using var left = Tensor.Empty(device, (2, n, n));
        using var status = Tensor.Empty(device, (2, n), DType.I32);
        var args = new JacobiSvdArgs
        {
            A = both.Pointer,
            Rotations = rotations.Pointer,
            Left = left.Pointer,
            Values = values.Pointer,
            Right = vectors.Pointer,
            Status = status.Pointer,
            N = n,
            ReportStride = n,
        };
        const int Warp = 32;
        int pairs = (n + 1) / 2;
        int threads = Math.Min(JacobiSvdArgs.Kernel.Threads, Warp * Launch.Blocks(pairs, 4)); // 8 lanes for each pair
        JacobiSvdArgs.Kernel.Launch(device, args, 2, threads);
    }
}
