using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Attention <c>softmax(q kᵀ / √hd) v</c> with grouped key/value heads: query head h uses key/value head <c>⌊h ·
/// KV / H⌋</c>. It is causal, or in an encoder every query sees all keys. With a window w, query i sees the keys
/// <c>i − w &lt; j ≤ i</c>. With a soft cap c, each scaled score x is <c>c · tanh(x / c)</c>.
/// </summary>
/// <remarks>
/// In training the H / KV query heads of a group lie one after the other in [B, H, S, hd], so they are the rows of one
/// product per key/value head, and the sum over a group in dk and dv is the product's own.
/// </remarks>
/// <example>
/// <code>
/// // One sequence of 128 positions, 8 query heads on 2 key/value heads of 64 elements.
/// using Tensor q = Tensor.Zeros(device, (1, 8, 128, 64));
/// using Tensor k = Tensor.Zeros(device, (1, 2, 128, 64));
/// using Tensor v = Tensor.Zeros(device, (1, 2, 128, 64));
/// using Tensor probabilities = Tensor.Empty(device, (1, 8, 128, 128)); // kept for the backward pass
/// using Tensor output = Tensor.Empty(device, q.Shape);
/// Attention.Forward(q, k, v, probabilities, output);
/// </code>
/// </example>
public static class Attention
{
    /// <summary>Environment variable that forces the variant: <c>composed</c> or <c>fused</c>.</summary>
    public const string VariantVariable = "SPECTRAL_ATTENTION";

    private const int MaxHeadDim = 512;

    private static readonly ForcedChoice<AttentionVariant> Choice = new(
        VariantVariable,
        ("composed", AttentionVariant.Composed),
        ("fused", AttentionVariant.Fused)
    );

    /// <summary>
    /// Returns the variant that is forced on a device: by <see cref="Force"/>, else by <see cref="VariantVariable"/>;
    /// null: none.
    /// </summary>
    /// <exception cref="InvalidOperationException"><see cref="VariantVariable"/> names nothing known.</exception>
    public static AttentionVariant? Forced(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return Choice.On(device);
    }

    /// <summary>Forces a variant on one device, where it applies; null: by rule.</summary>
    public static void Force(Device device, AttentionVariant? variant)
    {
        ArgumentNullException.ThrowIfNull(device);
        Choice.Force(device, variant);
    }

    /// <summary>
    /// Chooses the variant for whole sequences and records it in <see cref="Device.Variants"/>: the forced one, or else
    /// fused on a GPU and composed on the CPU device, where its products run at BLAS speed. It is always composed where
    /// <see cref="FlashAttention.Supports"/> is false.
    /// </summary>
    /// <param name="device">Device that the attention runs on.</param>
    /// <param name="type">Type of q, k and v.</param>
    /// <param name="headDim">Features per head.</param>
    public static AttentionVariant Choose(Device device, DType type, int headDim)
    {
        ArgumentNullException.ThrowIfNull(device);
        bool supported = FlashAttention.Supports(type, headDim);
        AttentionVariant? forced = Choice.On(device);
        bool vain = forced == AttentionVariant.Fused && !supported;
        AttentionVariant byRule = device.Kind == DeviceKind.Cuda ? AttentionVariant.Fused : AttentionVariant.Composed;
        AttentionVariant chosen = supported ? forced ?? byRule : AttentionVariant.Composed;
        device.Variants.Add(
            new VariantUse(
                type == DType.F32 ? "attention f32" : "attention bf16",
                NameOf(chosen),
                vain ? NameOf(AttentionVariant.Fused) : null,
                vain ? "it takes BF16 and head dimensions that are multiples of 8 up to 128" : null
            )
        );
        return chosen;
    }

    /// <summary>Returns the name of a variant, as <see cref="VariantVariable"/> and reports write it.</summary>
    public static string NameOf(AttentionVariant variant) => Choice.NameOf(variant);

    /// <summary>
    /// Computes the attention of whole sequences, each query over the keys up to its own position, or over all.
    /// </summary>
    /// <param name="q">[B, H, S, hd] F32 or BF16.</param>
    /// <param name="k">[B, KV, S, hd], type of q; KV divides H.</param>
    /// <param name="v">[B, KV, S, hd].</param>
    /// <param name="probabilities">[B, H, S, S]; written, kept for backward.</param>
    /// <param name="output">[B, H, S, hd]; written.</param>
    /// <param name="window">Keys seen, the query's own included; 0 is no limit.</param>
    /// <param name="softCap">Soft cap of the scaled scores; 0 is none.</param>
    /// <param name="spans">
    /// [B·S, 2] I32: of each position the first of its record and the one after its last, for rows of several records,
    /// of which a query sees its own; null: a row is one.
    /// </param>
    /// <param name="seesAhead">Whether a query sees the keys after it too, as in an encoder; without a window.</param>
    /// <exception cref="ArgumentException">Shape, type, device or a value does not fit.</exception>
    public static void Forward(
        Tensor q,
        Tensor k,
        Tensor v,
        Tensor probabilities,
        Tensor output,
        int window = 0,
        float softCap = 0,
        Tensor? spans = null,
        bool seesAhead = false
    )
    {
        Groups groups = Verify(q, k, v, probabilities);
        Check.SameAs(output, q);
        if (q.Count == 0)
            return;
        groups.Score(q, k, probabilities);
        CausalSoftmax.Forward(probabilities, groups.Scale, window, softCap, spans, seesAhead);
        Gemm.Run(
            groups.Scores(probabilities),
            groups.Keys(v),
            groups.Queries(output),
            new GemmSize(groups.Rows, groups.HeadDim, groups.Length, groups.Count)
        );
    }

    /// <summary>
    /// Computes the gradients of q, k and v: the adjoint of <see cref="Forward"/>. It allocates scratch memory of the
    /// size of the probabilities; with a soft cap twice as much, for the scores, which it computes again.
    /// </summary>
    /// <param name="q">[B, H, S, hd], as in forward.</param>
    /// <param name="k">[B, KV, S, hd].</param>
    /// <param name="v">[B, KV, S, hd].</param>
    /// <param name="probabilities">[B, H, S, S], from forward.</param>
    /// <param name="dOutput">[B, H, S, hd].</param>
    /// <param name="dq">[B, H, S, hd]; written.</param>
    /// <param name="dk">[B, KV, S, hd]; written.</param>
    /// <param name="dv">[B, KV, S, hd]; written.</param>
    /// <param name="window">As in forward.</param>
    /// <param name="softCap">As in forward.</param>
    /// <param name="spans">As in forward.</param>
    /// <param name="seesAhead">As in forward.</param>
    /// <exception cref="ArgumentException">Shape, type, device or a value does not fit.</exception>
    public static void Backward(
        Tensor q,
        Tensor k,
        Tensor v,
        Tensor probabilities,
        Tensor dOutput,
        Tensor dq,
        Tensor dk,
        Tensor dv,
        int window = 0,
        float softCap = 0,
        Tensor? spans = null,
        bool seesAhead = false
    )
    {
        Groups groups = Verify(q, k, v, probabilities);
        Check.SameAs(dOutput, q);
        Check.SameAs(dq, q);
        Check.SameAs(dk, k);
        Check.SameAs(dv, k);
        if (q.Count == 0)
            return;
        (int rows, int length, int headDim, int count) = (groups.Rows, groups.Length, groups.HeadDim, groups.Count);
        using var dScores = Tensor.Empty(q.Device, probabilities.Shape, q.DType);
        Gemm.Run(
            groups.Scores(probabilities).Transpose(),
            groups.Queries(dOutput),
            groups.Keys(dv),
            new GemmSize(length, headDim, rows, count)
        );
        Gemm.Run(
            groups.Queries(dOutput),
            groups.Keys(v).Transpose(),
            groups.Scores(dScores),
            new GemmSize(rows, length, headDim, count)
        );
        using (Tensor? scores = softCap > 0 ? Tensor.Empty(q.Device, probabilities.Shape, q.DType) : null)
        {
            if (scores is not null)
                groups.Score(q, k, scores);
            CausalSoftmax.Backward(probabilities, dScores, groups.Scale, window, softCap, scores, spans, seesAhead);
        }

        Gemm.Run(
            groups.Scores(dScores),
            groups.Keys(k),
            groups.Queries(dq),
            new GemmSize(rows, headDim, length, count)
        );
        Gemm.Run(
            groups.Scores(dScores).Transpose(),
            groups.Queries(q),
            groups.Keys(dk),
            new GemmSize(length, headDim, rows, count)
        );
    }

    /// <summary>
    /// Computes the attention of one new token per sequence over the cache; the query is at position <c>lengths[b] −
    /// 1</c>.
    /// </summary>
    /// <param name="q">[B, H, hd] F32 or BF16, hd up to 512.</param>
    /// <param name="keys">[B, KV, P, hd], type of q.</param>
    /// <param name="values">[B, KV, P, hd].</param>
    /// <param name="lengths">[B] I32: keys in the cache, the new one included; more than P counts as P, 0 gives
    /// zeros.</param>
    /// <param name="output">[B, H, hd]; written.</param>
    /// <param name="window">Keys seen, the query's own included; 0 is no limit.</param>
    /// <param name="softCap">Soft cap of the scaled scores; 0 is none.</param>
    /// <exception cref="ArgumentException">Shape, type, device or a value does not fit.</exception>
    public static void Decode(
        Tensor q,
        Tensor keys,
        Tensor values,
        Tensor lengths,
        Tensor output,
        int window = 0,
        float softCap = 0
    )
    {
        Check.Floating(q, [-1, -1, -1]);
        (int batch, int heads, int headDim) = (q.Dim(0), q.Dim(1), q.Dim(2));
        if (headDim > MaxHeadDim)
        {
            throw new ArgumentException(
                $"q is {q.Shape}, expected a head dimension of {MaxHeadDim} or less",
                nameof(q)
            );
        }

        Check.Operand(keys, q, [batch, -1, -1, headDim]);
        VerifyGroups(heads, keys.Dim(1));
        Check.SameAs(values, keys);
        Check.SameAs(output, q);
        Check.Operand(lengths, q, DType.I32, [batch]);
        CausalSoftmax.VerifyWindow(window);
        CausalSoftmax.VerifySoftCap(softCap);
        if (q.Count == 0)
            return;
        var args = new AttentionDecodeArgs
        {
            Q = q.Pointer,
            Keys = keys.Pointer,
            Values = values.Pointer,
            Lengths = lengths.Pointer,
            Output = output.Pointer,
            Heads = heads,
            KvHeads = keys.Dim(1),
            Positions = keys.Dim(2),
            HeadDim = headDim,
            Window = window,
            Scale = 1 / MathF.Sqrt(headDim),
            Cap = softCap,
        };
        AttentionDecodeArgs.Kernel.Launch(q.Device, q.DType, args, checked(heads * batch));
    }

    /// <summary>
    /// Copies new keys or values into the cache: <c>cache[b, g, offsets[b] + s, :] = source[b, g, s, :]</c>. Positions
    /// beyond the cache are skipped.
    /// </summary>
    /// <param name="source">[B, KV, S, hd] F32 or BF16: new keys or values.</param>
    /// <param name="cache">[B, KV, P, hd], type of the source.</param>
    /// <param name="offsets">[B] I32: where each sequence goes on.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Append(Tensor source, Tensor cache, Tensor offsets)
    {
        Check.Floating(source, [-1, -1, -1, -1]);
        Check.Operand(cache, source, [source.Dim(0), source.Dim(1), -1, source.Dim(3)]);
        Check.Operand(offsets, source, DType.I32, [source.Dim(0)]);
        if (source.Count == 0)
            return;
        var args = new AttentionAppendArgs
        {
            Source = source.Pointer,
            Offsets = offsets.Pointer,
            Cache = cache.Pointer,
            Batch = source.Dim(0),
            KvHeads = source.Dim(1),
            Length = source.Dim(2),
            Positions = cache.Dim(2),
            HeadDim = source.Dim(3),
        };
        AttentionAppendArgs.Kernel.Launch(
            source.Device,
            source.DType,
            args,
            Launch.RowBlocks(source.Count / source.Dim(3))
        );
    }

    // The matrices of one key/value head: Rows query rows (all heads of the group), Length keys; Count groups in the
    // batch.
    private readonly record struct Groups(int Count, int Rows, int Length, int HeadDim)
    {
        public float Scale => 1 / MathF.Sqrt(HeadDim);

        public GemmOperand Queries(Tensor tensor) => new(tensor, 0, HeadDim, (long)Rows * HeadDim);

        public GemmOperand Keys(Tensor tensor) => new(tensor, 0, HeadDim, (long)Length * HeadDim);

        public GemmOperand Scores(Tensor tensor) => new(tensor, 0, Length, (long)Rows * Length);

        // The scores q kᵀ, not scaled.
        public void Score(Tensor q, Tensor k, Tensor scores) =>
            Gemm.Run(Queries(q), Keys(k).Transpose(), Scores(scores), new GemmSize(Rows, Length, HeadDim, Count));
    }

    private static Groups Verify(Tensor q, Tensor k, Tensor v, Tensor probabilities)
    {
        Check.Floating(q, [-1, -1, -1, -1]);
        (int batch, int heads, int length, int headDim) = (q.Dim(0), q.Dim(1), q.Dim(2), q.Dim(3));
        Check.Operand(k, q, [batch, -1, length, headDim]);
        int kvHeads = k.Dim(1);
        VerifyGroups(heads, kvHeads);
        Check.SameAs(v, k);
        Check.Operand(probabilities, q, [batch, heads, length, length]);
        return new Groups(
            checked(batch * kvHeads),
            kvHeads == 0 ? 0 : checked(heads / kvHeads * length),
            length,
            headDim
        );
    }

    internal static void VerifyGroups(int heads, int kvHeads)
    {
        if (kvHeads == 0 ? heads != 0 : heads % kvHeads != 0)
        {
            throw new ArgumentException(
                $"{heads} query heads with {kvHeads} key/value heads, expected a whole number of query heads for each",
                "q"
            );
        }
    }
}
