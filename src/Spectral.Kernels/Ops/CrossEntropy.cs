using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Computes the cross-entropy of next-token logits, loss and gradient in one launch.</summary>
public static class CrossEntropy
{
    // A warp keeps up with rows that fit its registers' worth of loads; long rows need more loads in flight.
    private const int ShortRow = 4096;
    private const int ShortRowThreads = 32;

    /// <summary>
    /// Computes <c>losses[n] = log Σ exp(logits[n]) − logits[n, t]</c> with t = targets[n], and <c>dLogits =
    /// gradientScale · scale · (softmax − onehot(t))</c>. Masked rows (t = −1) give 0 and zeros; any other target
    /// outside the vocabulary gives a NaN loss and zeros.
    /// </summary>
    /// <param name="logits">[N, V] F32.</param>
    /// <param name="targets">[N] I32.</param>
    /// <param name="losses">[N] F32; written.</param>
    /// <param name="dLogits">[N, V] F32 or BF16; written. May be the logits. Null: loss only.</param>
    /// <param name="gradientScale">Usually 1 / number of loss tokens.</param>
    /// <param name="scale">[1] F32: a factor that may change between replays of a captured launch; null is 1.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(
        Tensor logits,
        Tensor targets,
        Tensor losses,
        Tensor? dLogits,
        float gradientScale,
        Tensor? scale = null
    )
    {
        Check.Operand(logits, DType.F32, [-1, -1]);
        Check.Operand(targets, logits, DType.I32, [logits.Dim(0)]);
        Check.Operand(losses, logits, [logits.Dim(0)]);
        if (dLogits is not null)
            Check.Floating(dLogits, logits, [logits.Dim(0), logits.Dim(1)]);
        if (scale is not null)
            Check.Operand(scale, logits, [1]);
        if (logits.Dim(0) == 0)
            return;
        var args = new CrossEntropyArgs
        {
            Logits = logits.Pointer,
            Targets = targets.Pointer,
            Losses = losses.Pointer,
            DLogits = dLogits?.Pointer ?? 0,
            Scale = scale?.Pointer ?? 0,
            Rows = logits.Dim(0),
            Vocabulary = logits.Dim(1),
            GradientScale = gradientScale,
        };
        CrossEntropyArgs.Kernel.Launch(
            logits.Device,
            dLogits?.DType ?? DType.F32,
            args,
            args.Rows,
            args.Vocabulary <= ShortRow ? ShortRowThreads : 0
        );
    }
}
