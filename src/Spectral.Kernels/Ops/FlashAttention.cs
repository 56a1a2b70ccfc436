using System.Runtime.CompilerServices;
using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes causal attention in one kernel that keeps the scores in registers, so that memory grows with the length and
/// not with its square. The formula is that of <see cref="Attention"/>; BF16, head dimensions that are multiples of 8
/// up to 128. Values and outputs are laid out as the projections around attention read and write them, as columns of
/// wider matrices where several stand side by side, so that no copy moves their heads.
/// </summary>
public static class FlashAttention
{
    private const int QueryTile = 128;
    private const int MaxHeadDim = 128;
    private const int Unit = 8;
    private const int DeltaLanes = 8;

    /// <summary>Returns whether the kernels take this type and head dimension.</summary>
    public static bool Supports(DType type, int headDim) =>
        type == DType.BF16 && headDim is > 0 and <= MaxHeadDim && headDim % Unit == 0;

    /// <summary>Computes the attention of whole sequences, each query over the keys up to its own position.</summary>
    /// <param name="q">[B, H, S, hd] BF16.</param>
    /// <param name="k">[B, KV, S, hd] BF16; KV divides H.</param>
    /// <param name="v">[B·S, KV·hd] BF16. Where it, or another of this layout, is columns of a wider matrix, rows are a
    /// multiple of 8 wide.</param>
    /// <param name="output">[B·S, H·hd] BF16; written.</param>
    /// <param name="lse">[B, H, S] F32: the logarithm of each row's sum of exponentials; written, kept for
    /// backward.</param>
    /// <param name="window">Keys seen, the query's own included; 0 is no limit.</param>
    /// <param name="softCap">Soft cap of the scaled scores; 0 is none.</param>
    /// <param name="spans">
    /// [B·S, 2] I32: of each position the first of its record and the one after its last, for rows of several records,
    /// of which a query sees its own; null: a row is one.
    /// </param>
    /// <exception cref="ArgumentException">Shape, type, device or a value does not fit.</exception>
    public static void Forward(
        Tensor q,
        Tensor k,
        ColumnRange v,
        ColumnRange output,
        Tensor lse,
        int window = 0,
        float softCap = 0,
        Tensor? spans = null
    )
    {
        FlashAttentionGradientArgs sizes = Verify(q, k, v, output, lse, window, softCap, spans);
        if (q.Count == 0)
            return;
        var args = new FlashAttentionArgs
        {
            Q = q.Pointer,
            K = k.Pointer,
            V = v.Pointer,
            Output = output.Pointer,
            Lse = lse.Pointer,
            Spans = sizes.Spans,
            Batch = sizes.Batch,
            Heads = sizes.Heads,
            KvHeads = sizes.KvHeads,
            Length = sizes.Length,
            HeadDim = sizes.HeadDim,
            VStride = sizes.VStride,
            OutputStride = sizes.OutputStride,
            Window = window,
            Scale = sizes.Scale,
            Cap = softCap,
        };
        KernelEntry<FlashAttentionArgs> forward = (IsNarrow(sizes), softCap > 0) switch
        {
            (true, false) => FlashAttentionArgs.Narrow,
            (false, false) => FlashAttentionArgs.Wide,
            (true, true) => FlashAttentionArgs.NarrowCapped,
            (false, true) => FlashAttentionArgs.WideCapped,
        };
        forward.Launch(q.Device, args, QueryBlocks(sizes));
    }

    /// <summary>
    /// Computes the gradients of q, k and v: the adjoint of <see cref="Forward"/>. The attention weights are computed
    /// again from q, k and <paramref name="lse"/>.
    /// </summary>
    /// <param name="q">[B, H, S, hd], as in forward.</param>
    /// <param name="k">[B, KV, S, hd].</param>
    /// <param name="v">[B·S, KV·hd].</param>
    /// <param name="output">[B·S, H·hd], from forward.</param>
    /// <param name="lse">[B, H, S], from forward.</param>
    /// <param name="dOutput">[B·S, H·hd] BF16.</param>
    /// <param name="gradients">Where the gradients of q, k and v are written.</param>
    /// <param name="window">As in forward.</param>
    /// <param name="softCap">As in forward.</param>
    /// <param name="spans">As in forward.</param>
    /// <exception cref="ArgumentException">Shape, type, device or a value does not fit.</exception>
    public static void Backward(
        Tensor q,
        Tensor k,
        ColumnRange v,
        ColumnRange output,
        Tensor lse,
        ColumnRange dOutput,
        in FlashAttentionGradients gradients,
        int window = 0,
        float softCap = 0,
        Tensor? spans = null
    )
    {
        (Tensor dq, Tensor dk, ColumnRange dv) = gradients;
        FlashAttentionGradientArgs args = Verify(q, k, v, output, lse, window, softCap, spans);
        VerifyMerged(dOutput, args.Heads, args, q);
        Check.SameAs(dq, q);
        Check.SameAs(dk, k);
        VerifyMerged(dv, args.KvHeads, args, q);
        if (q.Count == 0)
            return;
        using var delta = Tensor.Empty(q.Device, lse.Shape);
        (args.Q, args.K, args.V, args.Output, args.DOutput) = (
            q.Pointer,
            k.Pointer,
            v.Pointer,
            output.Pointer,
            dOutput.Pointer
        );
        (args.Lse, args.Delta, args.Dq, args.Dk, args.Dv) = (
            lse.Pointer,
            delta.Pointer,
            dq.Pointer,
            dk.Pointer,
            dv.Pointer
        );
        (args.DOutputStride, args.DvStride) = (dOutput.Stride, dv.Stride);
        bool narrow = IsNarrow(args);
        int keyTile = narrow ? 128 : 64;
        Device device = q.Device;
        FlashAttentionGradientArgs.Deltas.Launch(device, args, Launch.RowBlocks(checked((int)lse.Count), DeltaLanes));
        (KernelEntry<FlashAttentionGradientArgs> query, KernelEntry<FlashAttentionGradientArgs> key) = (
            narrow,
            softCap > 0
        ) switch
        {
            (true, false) => (FlashAttentionGradientArgs.QueryNarrow, FlashAttentionGradientArgs.KeyNarrow),
            (false, false) => (FlashAttentionGradientArgs.QueryWide, FlashAttentionGradientArgs.KeyWide),
            (true, true) => (FlashAttentionGradientArgs.QueryNarrowCapped, FlashAttentionGradientArgs.KeyNarrowCapped),
            (false, true) => (FlashAttentionGradientArgs.QueryWideCapped, FlashAttentionGradientArgs.KeyWideCapped),
        };
        query.Launch(device, args, QueryBlocks(args));
        key.Launch(device, args, checked(Launch.Blocks(args.Length, keyTile) * args.Batch * args.KvHeads));
    }

    // The kernels' tiles are 64 or 128 elements of a head wide.
    private static bool IsNarrow(in FlashAttentionGradientArgs sizes) => sizes.HeadDim <= 64;

    private static int QueryBlocks(in FlashAttentionGradientArgs sizes) =>
        checked(Launch.Blocks(sizes.Length, QueryTile) * sizes.Batch * sizes.Heads);

    private static FlashAttentionGradientArgs Verify(
        Tensor q,
        Tensor k,
        in ColumnRange v,
        in ColumnRange output,
        Tensor lse,
        int window,
        float softCap,
        Tensor? spans
    )
    {
        Check.Operand(q, DType.BF16, [-1, -1, -1, -1]);
        (int batch, int heads, int length, int headDim) = (q.Dim(0), q.Dim(1), q.Dim(2), q.Dim(3));
        if (!Supports(q.DType, headDim))
        {
            throw new ArgumentException(
                $"q is {q.Shape}, expected a head dimension that is a multiple of {Unit} up to {MaxHeadDim}",
                nameof(q)
            );
        }

        Check.Operand(k, q, [batch, -1, length, headDim]);
        int kvHeads = k.Dim(1);
        Attention.VerifyGroups(heads, kvHeads);
        Check.Operand(lse, q, DType.F32, [batch, heads, length]);
        CausalSoftmax.VerifyWindow(window);
        CausalSoftmax.VerifySoftCap(softCap);
        CausalSoftmax.VerifySpans(spans, q);
        var sizes = new FlashAttentionGradientArgs
        {
            Spans = spans?.Pointer ?? 0,
            Batch = batch,
            Heads = heads,
            KvHeads = kvHeads,
            Length = length,
            HeadDim = headDim,
            Window = window,
            Scale = 1 / MathF.Sqrt(headDim),
            Cap = softCap,
        };
        VerifyMerged(v, kvHeads, sizes, q);
        VerifyMerged(output, heads, sizes, q);
        (sizes.VStride, sizes.OutputStride) = (v.Stride, output.Stride);
        return sizes;
    }

    // [B·S, heads·hd], copied in 16-byte units.
    private static void VerifyMerged(
        in ColumnRange range,
        int heads,
        in FlashAttentionGradientArgs sizes,
        Tensor q,
        [CallerArgumentExpression(nameof(range))] string name = ""
    )
    {
        Check.Operand(range, q, [checked(sizes.Batch * sizes.Length), checked(heads * sizes.HeadDim)], name);
        if (range.Stride % Unit != 0 || range.Pointer % (Unit * 2) != 0)
        {
            throw new ArgumentException(
                $"{name} is columns {range.From} to {range.From + range.Count} of {range.Matrix.Shape}, "
                    + "expected rows of whole 16-byte units at a 16-byte address",
                name
            );
        }
    }
}
