using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Scales gradients down to a largest norm: clipping where <see cref="StepState"/> does not do it for all at once.
/// </summary>
public static class ClipNorm
{
    /// <summary>Computes <c>x = x · min(1, maxNorm / (norm + 1e-6))</c>.</summary>
    /// <param name="x">Any shape, F32; updated.</param>
    /// <param name="norm">[1] F32: the norm of all gradients that are clipped together.</param>
    /// <param name="maxNorm">The largest norm that is left, above 0.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the largest norm is out of range.
    /// </exception>
    public static void Run(Tensor x, Tensor norm, float maxNorm)
    {
        Check.Operand(x, DType.F32);
        Check.Operand(norm, x, DType.F32, [1]);
        if (!(maxNorm > 0))
            throw new ArgumentException($"maxNorm is {maxNorm}, expected a number above 0", nameof(maxNorm));
        if (x.Count == 0)
            return;
        var args = new ClipNormArgs
        {
            X = x.Pointer,
            Norm = norm.Pointer,
            Count = x.Count,
            MaxNorm = maxNorm,
        };
        ClipNormArgs.Kernel.Launch(x.Device, args, Launch.FlatBlocks(x.Count, DType.F32));
    }
}
