namespace Spectral.Kernels.Ops;

/// <summary>Arguments of the forward kernels in <c>flash_attention.cu</c>.</summary>
[KernelArgs("flash_attention", "flash_attention_forward_64", "flash_attention_forward_128")]
public struct FlashAttentionArgs
{
    /// <summary>Device address.</summary>
    public ulong Q;

    /// <summary>Device address.</summary>
    public ulong K;

    /// <summary>Device address.</summary>
    public ulong V;

    /// <summary>Device address.</summary>
    public ulong Output;

    /// <summary>Device address.</summary>
    public ulong Lse;

    /// <summary>Size.</summary>
    public int Batch;

    /// <summary>Size.</summary>
    public int Heads;

    /// <summary>Size.</summary>
    public int KvHeads;

    /// <summary>Size.</summary>
    public int Length;

    /// <summary>Size.</summary>
    public int HeadDim;

    /// <summary>Size.</summary>
    public int VStride;

    /// <summary>Size.</summary>
    public int OutputStride;

    /// <summary>Size.</summary>
    public int Window;

    /// <summary>Factor of the scores.</summary>
    public float Scale;
}

/// <summary>Arguments of the backward kernels in <c>flash_attention.cu</c>.</summary>
[KernelArgs(
    "flash_attention",
    "flash_attention_delta",
    "flash_attention_query_gradient_64",
    "flash_attention_query_gradient_128",
    "flash_attention_key_gradient_64",
    "flash_attention_key_gradient_128"
)]
public struct FlashAttentionGradientArgs
{
    /// <summary>Device address.</summary>
    public ulong Q;

    /// <summary>Device address.</summary>
    public ulong K;

    /// <summary>Device address.</summary>
    public ulong V;

    /// <summary>Device address.</summary>
    public ulong Output;

    /// <summary>Device address.</summary>
    public ulong DOutput;

    /// <summary>Device address.</summary>
    public ulong Lse;

    /// <summary>Device address.</summary>
    public ulong Delta;

    /// <summary>Device address.</summary>
    public ulong Dq;

    /// <summary>Device address.</summary>
    public ulong Dk;

    /// <summary>Device address.</summary>
    public ulong Dv;

    /// <summary>Size.</summary>
    public int Batch;

    /// <summary>Size.</summary>
    public int Heads;

    /// <summary>Size.</summary>
    public int KvHeads;

    /// <summary>Size.</summary>
    public int Length;

    /// <summary>Size.</summary>
    public int HeadDim;

    /// <summary>Size.</summary>
    public int VStride;

    /// <summary>Size.</summary>
    public int OutputStride;

    /// <summary>Size.</summary>
    public int DOutputStride;

    /// <summary>Size.</summary>
    public int DvStride;

    /// <summary>Size.</summary>
    public int Window;

    /// <summary>Factor of the scores.</summary>
    public float Scale;
}

/// <summary>
/// Causal attention in one kernel that keeps the scores in registers: memory grows with the length, not with its square. Same formula as
/// <see cref="Attention"/>, BF16, head dimensions that are multiples of 8 up to 128. Values and outputs are laid out as the projections
/// around attention read and write them, as columns of wider matrices where several stand side by side, so that no copy moves their heads.
/// </summary>
public static class FlashAttention
{
    private const int Threads = 128;
    private const int QueryTile = 128;
    private const int MaxHeadDim = 128;
    private const int Unit = 8;
    private const int DeltaLanes = 8;

    /// <summary>Whether the kernels take this type and head dimension.</summary>
    public static bool Supports(DType type, int headDim) =>
        type == DType.BF16 && headDim is > 0 and <= MaxHeadDim && headDim % Unit == 0;

    /// <summary>Attention of whole sequences.</summary>
    /// <param name="q">[B, H, S, hd] BF16.</param>
    /// <param name="k">[B, KV, S, hd] BF16; KV divides H.</param>
    /// <param name="v">[B·S, KV·hd] BF16. Where it, or another of this layout, is columns of a wider matrix, rows are a multiple of 8 wide.</param>
    /// <param name="output">[B·S, H·hd] BF16; written.</param>
    /// <param name="lse">[B, H, S] F32: the logarithm of each row's sum of exponentials; written, kept for backward.</param>
    /// <param name="window">Keys seen, the query's own included; 0 is no limit.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor q, Tensor k, ColumnRange v, ColumnRange output, Tensor lse, int window = 0)
    {
        FlashAttentionGradientArgs sizes = Verify(q, k, v, output, lse, window);
        if (q.Count == 0)
            return;
        var args = new FlashAttentionArgs
        {
            Q = q.Pointer,
            K = k.Pointer,
            V = v.Pointer,
            Output = output.Pointer,
            Lse = lse.Pointer,
            Batch = sizes.Batch,
            Heads = sizes.Heads,
            KvHeads = sizes.KvHeads,
            Length = sizes.Length,
            HeadDim = sizes.HeadDim,
            VStride = sizes.VStride,
            OutputStride = sizes.OutputStride,
            Window = window,
            Scale = sizes.Scale,
        };
        bool narrow = sizes.HeadDim <= 64;
        Kernel kernel = q.Device.Kernel(
            "flash_attention",
            narrow ? "flash_attention_forward_64" : "flash_attention_forward_128"
        );
        kernel.Launch(args, QueryBlocks(sizes), Threads, narrow ? 65536 : 81920);
    }

    /// <summary>The adjoint of <see cref="Forward"/>; it computes the weights again from q, k and <paramref name="lse"/>.</summary>
    /// <param name="q">[B, H, S, hd], as in forward.</param>
    /// <param name="k">[B, KV, S, hd].</param>
    /// <param name="v">[B·S, KV·hd].</param>
    /// <param name="output">[B·S, H·hd], from forward.</param>
    /// <param name="lse">[B, H, S], from forward.</param>
    /// <param name="dOutput">[B·S, H·hd] BF16.</param>
    /// <param name="dq">[B, H, S, hd] BF16; written.</param>
    /// <param name="dk">[B, KV, S, hd] BF16; written.</param>
    /// <param name="dv">[B·S, KV·hd] BF16; written.</param>
    /// <param name="window">As in forward.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        Tensor q,
        Tensor k,
        ColumnRange v,
        ColumnRange output,
        Tensor lse,
        ColumnRange dOutput,
        Tensor dq,
        Tensor dk,
        ColumnRange dv,
        int window = 0
    )
    {
        FlashAttentionGradientArgs args = Verify(q, k, v, output, lse, window);
        Merged(dOutput, nameof(dOutput), args.Heads, args, q);
        Operand(dq, nameof(dq), q);
        Operand(dk, nameof(dk), k);
        Merged(dv, nameof(dv), args.KvHeads, args, q);
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
        bool narrow = args.HeadDim <= 64;
        int keyTile = narrow ? 128 : 64;
        Device device = q.Device;
        device
            .Kernel("flash_attention", "flash_attention_delta")
            .Launch(args, Launch.RowBlocks(checked((int)lse.Count), DeltaLanes), Launch.RowThreads);
        device
            .Kernel(
                "flash_attention",
                narrow ? "flash_attention_query_gradient_64" : "flash_attention_query_gradient_128"
            )
            .Launch(args, QueryBlocks(args), Threads, narrow ? 50176 : 99328);
        device
            .Kernel("flash_attention", narrow ? "flash_attention_key_gradient_64" : "flash_attention_key_gradient_128")
            .Launch(
                args,
                checked(Launch.Blocks(args.Length, keyTile) * args.Batch * args.KvHeads),
                Threads,
                narrow ? 49664 : 66048
            );
    }

    private static int QueryBlocks(in FlashAttentionGradientArgs sizes) =>
        checked(Launch.Blocks(sizes.Length, QueryTile) * sizes.Batch * sizes.Heads);

    private static FlashAttentionGradientArgs Verify(
        Tensor q,
        Tensor k,
        in ColumnRange v,
        in ColumnRange output,
        Tensor lse,
        int window
    )
    {
        Check.DType(q, nameof(q), DType.BF16);
        Check.Shape(q, nameof(q), -1, -1, -1, -1);
        (int batch, int heads, int length, int headDim) = (q.Dim(0), q.Dim(1), q.Dim(2), q.Dim(3));
        if (!Supports(q.DType, headDim))
        {
            throw new ArgumentException(
                $"q is {q.Shape}, expected a head dimension that is a multiple of {Unit} up to {MaxHeadDim}",
                nameof(q)
            );
        }

        Check.SameDevice(q.Device, q, nameof(q));
        Check.Shape(k, nameof(k), batch, -1, length, headDim);
        Check.DType(k, nameof(k), DType.BF16);
        Check.SameDevice(q.Device, k, nameof(k));
        int kvHeads = k.Dim(1);
        Attention.VerifyGroups(heads, kvHeads);
        Check.Shape(lse, nameof(lse), batch, heads, length);
        Check.DType(lse, nameof(lse), DType.F32);
        Check.SameDevice(q.Device, lse, nameof(lse));
        if (window < 0)
            throw new ArgumentException($"window is {window}, expected 0 (none) or more", nameof(window));
        var sizes = new FlashAttentionGradientArgs
        {
            Batch = batch,
            Heads = heads,
            KvHeads = kvHeads,
            Length = length,
            HeadDim = headDim,
            Window = window,
            Scale = 1 / MathF.Sqrt(headDim),
        };
        Merged(v, nameof(v), kvHeads, sizes, q);
        Merged(output, nameof(output), heads, sizes, q);
        (sizes.VStride, sizes.OutputStride) = (v.Stride, output.Stride);
        return sizes;
    }

    // [B·S, heads·hd], copied in 16-byte units.
    private static void Merged(
        in ColumnRange range,
        string name,
        int heads,
        in FlashAttentionGradientArgs sizes,
        Tensor like
    )
    {
        Check.Shape(range.Matrix, name, checked(sizes.Batch * sizes.Length), -1);
        Check.DType(range.Matrix, name, DType.BF16);
        range.Check(name, range.Rows, checked(heads * sizes.HeadDim), like);
        if (range.Stride % Unit != 0 || range.Pointer % (Unit * 2) != 0)
        {
            throw new ArgumentException(
                $"{name} is columns {range.From} to {range.From + range.Count} of {range.Matrix.Shape}, expected rows of whole 16-byte units at a 16-byte address",
                name
            );
        }
    }

    private static void Operand(Tensor tensor, string name, Tensor like)
    {
        Check.Shape(tensor, name, like.Dim(0), like.Dim(1), like.Dim(2), like.Dim(3));
        Check.DType(tensor, name, DType.BF16);
        Check.SameDevice(like.Device, tensor, name);
    }
}
