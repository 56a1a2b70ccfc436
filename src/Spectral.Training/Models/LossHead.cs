using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Autograd;

namespace Spectral.Training.Models;

/// <summary>
/// Computes the output projection and the cross-entropy in chunks of rows, so that the logits of a whole batch are
/// never stored.
/// </summary>
public static class LossHead
{
    /// <summary>
    /// Returns the number of F32 logits in memory at a time. On a GPU that is 128 MB, because each chunk reads the
    /// whole weight, which pays only for a few hundred rows even with a large vocabulary. On the CPU device it is 32
    /// MB.
    /// </summary>
    private static int LogitBudget(Device device) => device.Kind == DeviceKind.Cuda ? 1 << 25 : 1 << 23;

    /// <summary>
    /// The number of rows in a chunk is a multiple of this where there are enough rows, to fill the tiles of a GEMM.
    /// </summary>
    private const int RowUnit = 64;

    /// <summary>
    /// Computes the losses of <paramref name="hidden"/> [K, D] against <paramref name="targets"/> [K] I32 under a head
    /// [V, D]. This ends the forward pass. The gradient is taken chunk by chunk while the logits are in memory: before
    /// returning, the gradient of <paramref name="hidden"/> is passed to its node, and that of a trainable head is
    /// added to its buffer. <see cref="Tape.Backward"/> does the rest.
    /// </summary>
    /// <param name="tape">The tape. One that does not record computes losses only.</param>
    /// <param name="hidden">The normalised final hidden states of the rows that carry loss.</param>
    /// <param name="head">
    /// The output head, with or without an adapter. An adapter's dropout uses one mask for all chunks.
    /// </param>
    /// <param name="targets">The next tokens; −1 gives loss 0 and no gradient.</param>
    /// <param name="losses">Receives −log p(target), [K] F32.</param>
    /// <param name="gradientScale">
    /// The factor on the gradient: 1/(loss tokens of the optimizer step) for a mean.
    /// </param>
    /// <param name="predictions">
    /// Receives the most probable token of each row (the lowest id on ties), [K] I32; null: not wanted.
    /// </param>
    /// <param name="lossScale">
    /// A further factor on the gradient, [1] F32 on the device, which a replayed step may change; null: 1.
    /// </param>
    /// <param name="softCap">
    /// The soft cap c that brings each logit z to c·tanh(z/c) before anything else; 0: none. With one, the gradient of
    /// a chunk has memory of its own.
    /// </param>
    public static void Run(
        Tape tape,
        Variable hidden,
        Linear head,
        Tensor targets,
        Tensor losses,
        float gradientScale = 1,
        Tensor? predictions = null,
        Tensor? lossScale = null,
        float softCap = 0
    ) =>
        RunChunks(
            tape,
            hidden,
            head,
            softCap,
            (logits, dLogits, start) =>
            {
                int count = logits.Dim(0);
                using Tensor target = targets.Rows(start, count);
                using Tensor loss = losses.Rows(start, count);
                if (predictions is not null)
                {
                    using Tensor prediction = predictions.Rows(start, count);
                    ArgMax.Run(logits, prediction);
                }
                CrossEntropy.Run(logits, target, loss, dLogits, gradientScale, lossScale);
            }
        );

    /// <summary>
    /// Computes losses as <see cref="Run"/> does, with a factor on the gradients for each group of rows.
    /// </summary>
    /// <param name="tape">The tape.</param>
    /// <param name="hidden">The normalised final hidden states of the rows that carry loss.</param>
    /// <param name="head">The output head, with or without an adapter.</param>
    /// <param name="targets">The next tokens; −1 gives loss 0 and no gradient.</param>
    /// <param name="losses">Receives −log p(target), [K] F32.</param>
    /// <param name="groups">The groups in order. Rows after them have no gradient.</param>
    /// <param name="lossScale">A further factor on the gradients, [1] F32 on the device; null: 1.</param>
    /// <param name="softCap">The soft cap of the logits; 0: none.</param>
    internal static void RunGroups(
        Tape tape,
        Variable hidden,
        Linear head,
        Tensor targets,
        Tensor losses,
        IReadOnlyList<RowGroup> groups,
        Tensor? lossScale,
        float softCap
    )
    {
        int listed = groups.Sum(group => group.Rows);
        RowGroup[] all = [.. groups, new RowGroup(targets.Dim(0) - listed, 0)];
        RunChunks(tape, hidden, head, softCap, OfChunk);

        // A launch for each group costs less than a factor for each row, which every element of the logits would meet.
        void OfChunk(Tensor logits, Tensor? dLogits, int start)
        {
            int end = start + logits.Dim(0);
            int first = 0;
            foreach (RowGroup group in all)
            {
                int from = Math.Max(start, first);
                int count = Math.Min(end, first + group.Rows) - from;
                first += group.Rows;
                if (count <= 0)
                    continue;
                using Tensor own = logits.Rows(from - start, count);
                using Tensor? gradient = dLogits?.Rows(from - start, count);
                using Tensor target = targets.Rows(from, count);
                using Tensor loss = losses.Rows(from, count);
                CrossEntropy.Run(own, target, loss, gradient, group.Factor, lossScale);
            }
        }
    }

    /// <summary>
    /// Computes the squared errors of what a head [1, D] gives of <paramref name="hidden"/> [K, D], with gradients as
    /// <see cref="Run"/> takes them.
    /// </summary>
    /// <param name="tape">The tape. One that does not record computes losses only.</param>
    /// <param name="hidden">The final hidden states of the rows.</param>
    /// <param name="head">The output head, with or without an adapter.</param>
    /// <param name="values">The numbers that it should give, [K] F32.</param>
    /// <param name="mask">1 for rows that carry loss and 0 for others, [K] F32.</param>
    /// <param name="losses">Receives the squared errors, [K] F32.</param>
    /// <param name="gradientScale">The factor on the gradient.</param>
    /// <param name="lossScale">A further factor on the gradient, [1] F32 on the device; null: 1.</param>
    internal static void RunSquared(
        Tape tape,
        Variable hidden,
        Linear head,
        Tensor values,
        Tensor mask,
        Tensor losses,
        float gradientScale,
        Tensor? lossScale
    ) =>
        RunChunks(
            tape,
            hidden,
            head,
            0,
            (outputs, gradient, start) =>
            {
                int count = outputs.Dim(0);
                using Tensor value = values.Rows(start, count);
                using Tensor carries = mask.Rows(start, count);
                using Tensor loss = losses.Rows(start, count);
                SquaredError.Run(outputs, value, carries, loss, gradient, gradientScale, lossScale);
            }
        );

    /// <summary>
    /// Computes the entropies of the predictions from <paramref name="hidden"/> [K, D] under a head [V, D], with
    /// gradients as <see cref="Run"/> takes them.
    /// </summary>
    /// <param name="tape">The tape. One that does not record computes entropies only.</param>
    /// <param name="hidden">The normalised final hidden states.</param>
    /// <param name="head">The output head.</param>
    /// <param name="entropies">Receives −Σ p log p of each row, [K] F32.</param>
    /// <param name="gradientScale">The factor on the gradient.</param>
    /// <param name="softCap">The soft cap of the logits; 0: none.</param>
    internal static void RunEntropy(
        Tape tape,
        Variable hidden,
        Linear head,
        Tensor entropies,
        float gradientScale,
        float softCap
    ) =>
        RunChunks(
            tape,
            hidden,
            head,
            softCap,
            (logits, dLogits, start) =>
            {
                using Tensor own = entropies.Rows(start, logits.Dim(0));
                Entropy.Run(logits, own, dLogits, gradientScale);
            }
        );

    /// <summary>Computes the logits of some rows after the others, and hands each chunk to a loss.</summary>
    private static void RunChunks(Tape tape, Variable hidden, Linear head, float softCap, ChunkLoss lossOf)
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
                int first = start;
                using Tensor x = hidden.Value.Rows(start, count);
                using Tensor? dx = dHidden?.Rows(start, count);
                Tensor? LossOf(Tensor logits) =>
                    Differentiate(
                        logits,
                        x.DType,
                        differentiates,
                        softCap,
                        (capped, dLogits) => lossOf(capped, dLogits, first)
                    );
                RunChunk(tape, x, head, differentiates, dx, LossOf);
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

    /// <summary>Computes the logits [K, V] F32 of rows [K, D] without recording. The caller disposes them.</summary>
    /// <param name="x">The normalised final hidden states.</param>
    /// <param name="head">The output head.</param>
    /// <param name="softCap">The soft cap of the logits; 0: none.</param>
    internal static Tensor Logits(Tensor x, Linear head, float softCap)
    {
        Tensor logits = head.Adapter is null ? Product(x, head) : AdaptedProduct(x, head);
        if (softCap > 0)
            SoftCap.Forward(logits, logits, softCap);
        return logits;
    }

    private static Tensor Product(Tensor x, Linear head)
    {
        var logits = Tensor.Empty(x.Device, (x.Dim(0), head.Out));
        Gemm.Run(x, Gemm.Transposed(head.Weight.Value), logits);
        if (head.Bias is not null)
        {
            using Tensor bias = InF32(head.Bias.Value);
            AddBias.Run(logits, bias);
        }
        return logits;
    }

    private static Tensor AdaptedProduct(Tensor x, Linear head)
    {
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
        Func<Tensor, Tensor?> loss
    )
    {
        if (head.Adapter is not null)
        {
            RunAdaptedChunk(tape, x, head, differentiates, dx, loss);
            return;
        }
        using Tensor logits = Product(x, head);
        using Tensor? dLogits = loss(logits);
        if (dLogits is null)
            return;
        if (dx is not null)
            Gemm.Run(dLogits, head.Weight.Value, dx);
        if (head.Weight is { Trains: true, Gradient: { } dWeight })
            Gemm.Run(Gemm.Transposed(dLogits), x, dWeight, 1, 1);
        if (head.Bias?.Gradient is { } dBias)
            BiasGradient.Run(dLogits, dBias, accumulate: true);
        if (head.Weight.Rows is { Trains: true } rows)
            rows.AddGradient(dLogits, x);
    }

    /// <summary>
    /// Runs forward and backward of a chunk on its own tape. Like other outputs of adapted layers, its logits are
    /// computed in the compute type before they are converted to F32.
    /// </summary>
    private static void RunAdaptedChunk(
        Tape tape,
        Tensor x,
        Linear head,
        bool differentiates,
        Tensor? dx,
        Func<Tensor, Tensor?> loss
    )
    {
        using var inner = new Tape(tape.Device, differentiates, tape.Dropout);
        LeafNode? leaf = dx is null ? null : inner.Record(new LeafNode());
        using var input = new Variable(x.Share(), leaf);
        using Variable output = LinearNode.Apply(inner, input, head);
        using Tensor logits = InF32(output.Value);
        if (loss(logits) is not { } dLogits)
            return;
        output.Node!.Accumulate(dLogits);
        inner.Backward(until: leaf is null ? 0 : 1);
        if (dx is null)
            return;
        using Tensor? gradient = leaf!.TakeGradient();
        dx.CopyFrom(gradient!);
    }

    /// <summary>
    /// Caps the logits in place, computes losses, and returns the gradient of the logits as they were; null if none is
    /// wanted. The caller disposes it.
    /// </summary>
    private static Tensor? Differentiate(
        Tensor logits,
        DType type,
        bool differentiates,
        float softCap,
        Action<Tensor, Tensor?> loss
    )
    {
        if (softCap > 0)
            SoftCap.Forward(logits, logits, softCap);
        Tensor? gradient = differentiates ? GradientOf(logits, type, softCap > 0) : null;
        try
        {
            loss(logits, gradient);
            if (gradient is not null && softCap > 0)
                SoftCap.Backward(logits, gradient, gradient, softCap);
        }
        catch
        {
            gradient?.Dispose();
            throw;
        }
        return gradient;
    }

    /// <summary>
    /// Returns the tensor for the gradient of the logits. It is their own memory if that has the compute type and they
    /// are not read again.
    /// </summary>
    private static Tensor GradientOf(Tensor logits, DType type, bool readAgain) =>
        type == DType.F32 && !readAgain ? logits.Share() : Tensor.Empty(logits.Device, logits.Shape, type);

    private static Tensor InF32(Tensor values)
    {
        if (values.DType == DType.F32)
            return values.Share();
        var copy = Tensor.Empty(values.Device, values.Shape);
        Cast.Run(values, copy);
        return copy;
    }

    /// <summary>
    /// Computes the losses of a chunk, and the gradient of its logits, which may be their own memory; null: none.
    /// </summary>
    private delegate void ChunkLoss(Tensor logits, Tensor? dLogits, int start);
}
