using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>Output projection and cross-entropy in chunks of rows, so that the logits of a whole batch are never stored.</summary>
public static class LossHead
{
    /// <summary>
    /// Elements of F32 logits alive at a time. On a GPU 128 MB: each chunk reads the whole weight, which is only worth it for a few hundred rows
    /// of even a large vocabulary. On the CPU device 32 MB.
    /// </summary>
    private static int LogitBudget(Device device) => device.Kind == DeviceKind.Cuda ? 1 << 25 : 1 << 23;

    /// <summary>Rows of a chunk are a multiple of this where there are that many: whole tiles of a GEMM.</summary>
    private const int RowUnit = 64;

    /// <summary>
    /// Losses of <paramref name="hidden"/> [K, D] against <paramref name="targets"/> [K] I32 under the head <paramref name="weight"/> [V, D].
    /// It ends the forward pass: while a chunk's logits are at hand their gradient is taken too, so the gradient of <paramref name="hidden"/>
    /// is deposited in its node and that of a trainable head added to its buffer before this returns; <see cref="Tape.Backward"/> does the rest.
    /// </summary>
    /// <param name="tape">The tape; one that does not record gets losses only.</param>
    /// <param name="hidden">Normalised final hidden states of the rows that carry loss.</param>
    /// <param name="weight">The output embedding.</param>
    /// <param name="targets">Next tokens; −1 gives loss 0 and no gradient.</param>
    /// <param name="losses">[K] F32, receives −log p(target).</param>
    /// <param name="gradientScale">Factor on the gradient: 1/(loss tokens of the optimizer step) for a mean.</param>
    /// <param name="predictions">[K] I32, receives the most probable token of each row (the lowest id on ties); null when not wanted.</param>
    /// <param name="lossScale">[1] F32 on the device, a further factor on the gradient that a replayed step may change; null is 1.</param>
    public static void Run(
        Tape tape, Variable hidden, Parameter weight, Tensor targets, Tensor losses, float gradientScale = 1, Tensor? predictions = null,
        Tensor? lossScale = null)
    {
        var (rows, vocabulary) = (hidden.Value.Dim(0), weight.Value.Dim(0));
        var type = hidden.Value.DType;
        var differentiates = tape.Records && (hidden.Node is not null || weight.Trains);
        var chunk = Math.Max(1, LogitBudget(tape.Device) / vocabulary);
        if (chunk > RowUnit)
            chunk -= chunk % RowUnit;
        var dHidden = differentiates && hidden.Node is not null ? Tensor.Empty(tape.Device, hidden.Value.Shape, type) : null;
        for (var start = 0; start < rows; start += chunk)
        {
            var count = Math.Min(chunk, rows - start);
            using var x = hidden.Value.Rows(start, count);
            using var target = targets.Rows(start, count);
            using var loss = losses.Rows(start, count);
            using var logits = Tensor.Empty(tape.Device, (count, vocabulary));
            Gemm.Run(x, false, weight.Value, true, logits);
            using var prediction = predictions?.Rows(start, count);
            if (prediction is not null)
                ArgMax.Run(logits, prediction);
            using var dLogits = !differentiates ? null : type == DType.F32 ? logits.Share() : Tensor.Empty(tape.Device, logits.Shape, type);
            CrossEntropy.Run(logits, target, loss, dLogits, gradientScale, lossScale);
            if (dLogits is null)
                continue;
            using var dx = dHidden?.Rows(start, count);
            if (dx is not null)
                Gemm.Run(dLogits, false, weight.Value, false, dx);
            if (weight.Gradient is not null)
                Gemm.Run(dLogits, true, x, false, weight.Gradient, 1, 1);
        }
        if (dHidden is not null)
            hidden.Node!.Accumulate(dHidden);
    }
}
