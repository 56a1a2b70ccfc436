using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// Output projection and cross-entropy in chunks of rows, so that the logits of a whole batch are never stored.
/// </summary>
public static class LossHead
{
    /// <summary>
    /// Elements of F32 logits alive at a time. On a GPU 128 MB: each chunk reads the whole weight, which is only worth
    /// it for a few hundred rows of even a large vocabulary. On the CPU device 32 MB.
    /// </summary>
    private static int LogitBudget(Device device) => device.Kind == DeviceKind.Cuda ? 1 << 25 : 1 << 23;

    /// <summary>Rows of a chunk are a multiple of this where there are that many: whole tiles of a GEMM.</summary>
    private const int RowUnit = 64;

    /// <summary>
    /// Losses of <paramref name="hidden"/> [K, D] against <paramref name="targets"/> [K] I32 under a head [V, D].
    /// It ends the forward pass: while a chunk's logits are at hand their gradient is taken too, so the gradient of
    /// <paramref name="hidden"/> is deposited in its node and that of a trainable head added to its buffer before this
    /// returns; <see cref="Tape.Backward"/> does the rest.
    /// </summary>
    /// <param name="tape">The tape; one that does not record gets losses only.</param>
    /// <param name="hidden">Normalised final hidden states of the rows that carry loss.</param>
    /// <param name="head">
    /// The output embedding, with an adapter or without. An adapter's dropout has one mask for every chunk.
    /// </param>
    /// <param name="targets">Next tokens; −1 gives loss 0 and no gradient.</param>
    /// <param name="losses">[K] F32, receives −log p(target).</param>
    /// <param name="gradientScale">Factor on the gradient: 1/(loss tokens of the optimizer step) for a mean.</param>
    /// <param name="predictions">[K] I32, receives the most probable token of each row (the lowest id on ties); null
    /// when not wanted.</param>
    /// <param name="lossScale">[1] F32 on the device, a further factor on the gradient that a replayed step may change;
    /// null is 1.</param>
    public static void Run(
        Tape tape,
        Variable hidden,
        Linear head,
        Tensor targets,
        Tensor losses,
        float gradientScale = 1,
        Tensor? predictions = null,
        Tensor? lossScale = null
    )
    {
        (int rows, int vocabulary) = (hidden.Value.Dim(0), head.Out);
        bool differentiates = tape.Records && (hidden.Node is not null || head.Trains);
        int chunk = Math.Max(1, LogitBudget(tape.Device) / vocabulary);
        if (chunk > RowUnit)
            chunk -= chunk % RowUnit;
        bool wantsInput = differentiates && hidden.Node is not null;
        Tensor? dHidden = wantsInput ? Tensor.Empty(tape.Device, hidden.Value.Shape, hidden.Value.DType) : null;
        try
        {
            for (int start = 0; start < rows; start += chunk)
            {
                int count = Math.Min(chunk, rows - start);
                using Tensor x = hidden.Value.Rows(start, count);
                using Tensor target = targets.Rows(start, count);
                using Tensor loss = losses.Rows(start, count);
                using Tensor? prediction = predictions?.Rows(start, count);
                using Tensor? dx = dHidden?.Rows(start, count);
                RunChunk(
                    tape,
                    x,
                    head,
                    differentiates,
                    dx,
                    (logits, dLogits) =>
                    {
                        if (prediction is not null)
                            ArgMax.Run(logits, prediction);
                        CrossEntropy.Run(logits, target, loss, dLogits, gradientScale, lossScale);
                    }
                );
            }
        }
        catch
        {
            dHidden?.Dispose();
            throw;
        }
        if (dHidden is not null)
            hidden.Node!.Accumulate(dHidden);
    }

    /// <summary>Logits [K, V] F32 of rows [K, D], without recording; the caller disposes them.</summary>
    internal static Tensor Logits(Tensor x, Linear head)
    {
        if (head.Adapter is null)
        {
            var logits = Tensor.Empty(x.Device, (x.Dim(0), head.Out));
            Gemm.Run(x, Gemm.Transposed(head.Weight.Value), logits);
            return logits;
        }
        using var tape = new Tape(x.Device, records: false);
        using var input = new Variable(x.Share());
        using Variable output = LinearNode.Apply(tape, input, head);
        return InF32(output.Value);
    }

    private static void RunChunk(
        Tape tape,
        Tensor x,
        Linear head,
        bool differentiates,
        Tensor? dx,
        Action<Tensor, Tensor?> loss
    )
    {
        if (head.Adapter is not null)
        {
            RunAdaptedChunk(tape, x, head, differentiates, dx, loss);
            return;
        }
        using Tensor logits = Logits(x, head);
        using Tensor? dLogits = GradientOf(logits, x.DType, differentiates);
        loss(logits, dLogits);
        if (dLogits is null)
            return;
        if (dx is not null)
            Gemm.Run(dLogits, head.Weight.Value, dx);
        if (head.Weight.Gradient is { } dWeight)
            Gemm.Run(Gemm.Transposed(dLogits), x, dWeight, 1, 1);
        if (head.Weight.Rows is { Gradient: not null } rows)
            rows.AddGradient(dLogits, x);
    }

    /// <summary>
    /// Forward and backward of a chunk on a tape of its own. Its logits are of the compute type before they are F32, as
    /// other outputs of layers.
    /// </summary>
    private static void RunAdaptedChunk(
        Tape tape,
        Tensor x,
        Linear head,
        bool differentiates,
        Tensor? dx,
        Action<Tensor, Tensor?> loss
    )
    {
        using var inner = new Tape(tape.Device, differentiates, tape.Dropout);
        LeafNode? leaf = dx is null ? null : inner.Record(new LeafNode());
        using var input = new Variable(x.Share(), leaf);
        using Variable output = LinearNode.Apply(inner, input, head);
        using Tensor logits = InF32(output.Value);
        if (!Differentiate(logits, x.DType, differentiates, loss, output.Node))
            return;
        inner.Backward(until: leaf is null ? 0 : 1);
        if (dx is null)
            return;
        using Tensor? gradient = leaf!.TakeGradient();
        dx.CopyFrom(gradient!);
    }

    /// <summary>Computes losses and hands the gradient of logits to their node; false where there is none.</summary>
    private static bool Differentiate(
        Tensor logits,
        DType type,
        bool differentiates,
        Action<Tensor, Tensor?> loss,
        Node? node
    )
    {
        Tensor? gradient = GradientOf(logits, type, differentiates);
        try
        {
            loss(logits, gradient);
        }
        catch
        {
            gradient?.Dispose();
            throw;
        }
        if (gradient is null)
            return false;
        node!.Accumulate(gradient);
        return true;
    }

    /// <summary>Where the gradient of logits goes: into their own memory if that is of the compute type.</summary>
    private static Tensor? GradientOf(Tensor logits, DType type, bool differentiates)
    {
        if (!differentiates)
            return null;
        return type == DType.F32 ? logits.Share() : Tensor.Empty(logits.Device, logits.Shape, type);
    }

    private static Tensor InF32(Tensor values)
    {
        if (values.DType == DType.F32)
            return values.Share();
        var copy = Tensor.Empty(values.Device, values.Shape);
        Cast.Run(values, copy);
        return copy;
    }
}
