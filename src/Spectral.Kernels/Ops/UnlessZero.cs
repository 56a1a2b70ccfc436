using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Scales a matrix unless another one is zero, without the host having to know which it is, so that a captured step can
/// be replayed.
/// </summary>
public static class UnlessZero
{
    /// <summary>Computes <c>y = factor · x</c>, or <c>y = I</c> if the diagonal of a Gram matrix is zero.</summary>
    /// <param name="gram">[n, n] F32, a Gram matrix: it is zero if its diagonal is.</param>
    /// <param name="x">[n, n] F32.</param>
    /// <param name="factor">Factor of x.</param>
    /// <param name="y">[n, n] F32; written; may be x.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor gram, Tensor x, float factor, Tensor y)
    {
        Check.Operand(gram, DType.F32, [-1, -1]);
        int n = gram.Dim(0);
        Check.Operand(gram, DType.F32, [n, n]);
        Check.SameAs(x, gram);
        Check.SameAs(y, gram);
        if (n == 0)
            return;
        var args = new UnlessZeroArgs
        {
            Gram = gram.Pointer,
            X = x.Pointer,
            Y = y.Pointer,
            N = n,
            Factor = factor,
        };
        UnlessZeroArgs.Kernel.Launch(gram.Device, args, Launch.Blocks(gram.Count, UnlessZeroArgs.Kernel.Threads));
    }
}
