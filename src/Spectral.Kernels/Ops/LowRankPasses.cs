namespace Spectral.Kernels;

/// <summary>How the skinny passes of <see cref="LowRank"/> run.</summary>
public enum LowRankPassKind
{
    /// <summary>As matrix products of cuBLAS, or OpenBLAS on the CPU device.</summary>
    Blas,
    /// <summary>As this library's own kernels, which read the wide operand once; BF16 only.</summary>
    Kernels,
}

/// <summary>
/// The passes of low-rank linear layers over their wide activations: <c>z = x Rᵀ</c> forward, <c>g = dy L</c> with the gradients of L and c,
/// and the gradient of R backward. Layers that read the same x have their R below one another and their z and g side by side, so that x is
/// read once for all. All sums are F32, in an order that depends on shapes alone. With a <see cref="DropoutMask"/> x stands for
/// <c>mask ∘ x / (1 − p)</c>.
/// </summary>
public static partial class LowRank
{
    /// <summary>Environment variable that forces <see cref="LowRankPassKind"/>: <c>blas</c> or <c>kernels</c>.</summary>
    public const string PassVariable = "SPECTRAL_LOWRANK_PASSES";

    private const string PassModule = "low_rank_passes";
    private const int Side = 128, Depth = 64, PassThreads = 256, CpuBlocks = 8, WidestSides = 128, WidestOutput = 64;

    private static readonly ForcedChoice<LowRankPassKind> Forced = new(PassVariable, ("blas", LowRankPassKind.Blas), ("kernels", LowRankPassKind.Kernels));

    /// <summary>Forces how the passes run, where that is possible; null (and no <see cref="PassVariable"/>): by rule.</summary>
    /// <exception cref="InvalidOperationException"><see cref="PassVariable"/> names nothing known.</exception>
    public static LowRankPassKind? Passes
    {
        get => Forced.Value;
        set => Forced.Value = value;
    }

    /// <summary>z = x Rᵀ, and with <paramref name="scaled"/> also Scale · c ∘ z.</summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="right">R [p, in], same type; of several layers, below one another.</param>
    /// <param name="z">[M, p], same type; overwritten.</param>
    /// <param name="middle">c [p] F32, used for <paramref name="scaled"/> only; null: ones.</param>
    /// <param name="scale">Used for <paramref name="scaled"/> only.</param>
    /// <param name="scaled">[M, p], same type; overwritten. Null: not wanted.</param>
    /// <param name="dropout">Applied to x; null: none.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Project(Tensor x, Tensor right, Tensor z, Tensor? middle = null, float scale = 1, Tensor? scaled = null, DropoutMask? dropout = null)
    {
        Device device = x.Device;
        Check.Shape(x, nameof(x), -1, -1);
        int rows = x.Dim(0), columns = x.Dim(1);
        Check.Shape(right, nameof(right), -1, columns);
        int rank = right.Dim(0);
        Check.Floating(x, nameof(x));
        Check.SameDType(x, nameof(x), right, nameof(right));
        Check.SameDevice(device, right, nameof(right));
        ((ColumnRange)z).Check(nameof(z), rows, rank, x);
        if (middle is not null) CheckMiddle(middle, rank, device);
        if (scaled is not null) ((ColumnRange)scaled).Check(nameof(scaled), rows, rank, x);
        if (rows == 0 || rank == 0) return;

        int ranks = RanksPerRead(rank, WidestSides), groups = Divided(rank, ranks), shared = 4 * (Side + ranks) * Depth * 2;
        if (Choose("low_rank_project", device, x.DType, rank, WidestSides, shared) == LowRankPassKind.Blas)
        {
            using Tensor? kept = Kept(x, dropout);
            Gemm.Run(kept ?? x, false, right, true, z, dropout?.Factor ?? 1);
            if (scaled is not null) LowRankReduce.ScaleColumns(z, middle, scale, scaled);
            return;
        }
        int blocks = Divided(rows, Side), shares = Shares(device, Divided(columns, Depth), blocks * groups);
        using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, rows, rank)) : null;
        var args = new LowRankProjectArgs
        {
            X = x.Pointer, Right = right.Pointer, Middle = middle?.Pointer ?? 0, Z = z.Pointer, Scaled = scaled?.Pointer ?? 0, Partial = partial?.Pointer ?? 0,
            Dropout = dropout?.Source(dropout.Factor) ?? default, Rows = rows, Columns = columns, Rank = rank, Shares = shares, Scale = scale,
        };
        string entry = ranks switch { 32 => "low_rank_project_32_bf16", 64 => "low_rank_project_64_bf16", _ => "low_rank_project_128_bf16" };
        device.Kernel(PassModule, entry).Launch(args, blocks, shares, groups, PassThreads, shared);
        if (partial is not null) LowRankReduce.Rows(partial, shares, z, middle, scale, scaled is null ? null : new ColumnRange?(scaled));
    }

    /// <summary>
    /// g = dy L; with <paramref name="scaled"/> also Scale · c ∘ g; and the wanted gradients <c>dL = Scale · dyᵀ (z ∘ c)</c> and
    /// <c>dcᵢ = Scale · Σₜ gₜᵢ zₜᵢ</c>. The kernels read dy once for all of them up to rank 64.
    /// </summary>
    /// <param name="dy">[M, out], F32 or BF16.</param>
    /// <param name="factors">L, c and the scale; R is not used.</param>
    /// <param name="z">[M, p], same type: x Rᵀ of the forward pass.</param>
    /// <param name="g">[M, p], same type; overwritten.</param>
    /// <param name="scaled">[M, p], same type, rows as far apart as g's; overwritten. Null: not wanted.</param>
    /// <param name="gradients">Its Left and Middle are written; Right is not.</param>
    /// <param name="accumulate">Add to the gradients instead of overwriting them.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void OutputGradients(Tensor dy, LowRankFactors factors, ColumnRange z, ColumnRange g, ColumnRange? scaled, in LowRankGradients gradients, bool accumulate = false)
    {
        Device device = dy.Device;
        Check.Shape(dy, nameof(dy), -1, -1);
        int rows = dy.Dim(0), columns = dy.Dim(1), rank = factors.Rank;
        factors.Check(columns, factors.Right.Dim(1), device);
        Check.SameDType(factors.Left, nameof(factors.Left), dy, nameof(dy));
        z.Check(nameof(z), rows, rank, dy);
        g.Check(nameof(g), rows, rank, dy);
        scaled?.Check(nameof(scaled), rows, rank, dy);
        if (scaled is { } copy && copy.Stride != g.Stride) throw new ArgumentException($"scaled has rows of {copy.Stride}, expected {g.Stride} as g has", nameof(scaled));
        (gradients with { Right = null }).Check(columns, 0, rank, device);
        if (rows == 0)
        {
            if (!accumulate) gradients.Left?.Clear();
            if (!accumulate) gradients.Middle?.Clear();
            return;
        }
        int ranks = RanksPerRead(rank, WidestOutput), chunks = 128 / ranks, shared = (3 * Side + (2 + chunks) * ranks) * Side * 2;
        if (Choose("low_rank_output_gradients", device, dy.DType, rank, WidestOutput, shared) == LowRankPassKind.Blas)
        {
            OutputGradientsByBlas(dy, factors, z, g, scaled, gradients, accumulate);
        }
        else
        {
            int groups = Divided(rank, ranks), blocks = Divided(rows, chunks * Side), shares = Shares(device, Divided(columns, Side), blocks * groups);
            using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, rows, rank)) : null;
            using Tensor? leftPartial = gradients.Left is null ? null : Tensor.Empty(device, (blocks, columns, rank));
            var args = new LowRankOutputGradientsArgs
            {
                Dy = dy.Pointer, Left = factors.Left.Pointer, Z = z.Pointer, Middle = factors.Middle?.Pointer ?? 0, G = g.Pointer, Scaled = scaled?.Pointer ?? 0,
                Partial = partial?.Pointer ?? 0, LeftPartial = leftPartial?.Pointer ?? 0,
                Rows = rows, Columns = columns, Rank = rank, SkinnyStride = z.Stride, ResultStride = g.Stride, Shares = shares, Scale = factors.Scale,
            };
            string entry = ranks == 32 ? "low_rank_output_gradients_32_bf16" : "low_rank_output_gradients_64_bf16";
            device.Kernel(PassModule, entry).Launch(args, blocks, shares, groups, PassThreads, shared);
            if (partial is not null) LowRankReduce.Rows(partial, shares, g, factors.Middle, factors.Scale, scaled);
            if (leftPartial is not null) LowRankReduce.Gradient(leftPartial, blocks, 0, rank, gradients.LeftFrom, factors.Middle, factors.Scale, gradients.Left!, accumulate);
        }
        if (gradients.Middle is not null) LowRankReduce.MiddleGradient(g, z, factors.Scale, gradients.Middle, accumulate);
    }

    /// <summary>For each target, dR (+)= scale · hᵀ x of its columns of h; the kernels read x once for all targets up to 128 columns.</summary>
    /// <param name="h">[M, p], F32 or BF16: g, or g ∘ c, of all layers that read x.</param>
    /// <param name="x">[M, in], same type.</param>
    /// <param name="targets">A gradient of R [columns, in] F32 each, and the first column of h that belongs to it; in ascending order.</param>
    /// <param name="scale">Factor of the products.</param>
    /// <param name="accumulate">Add to the gradients instead of overwriting them.</param>
    /// <param name="dropout">Applied to x; null: none.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void InputGradient(Tensor h, Tensor x, ReadOnlySpan<(Tensor Gradient, int From)> targets, float scale = 1, bool accumulate = false, DropoutMask? dropout = null)
    {
        Device device = x.Device;
        Check.Shape(x, nameof(x), -1, -1);
        int rows = x.Dim(0), columns = x.Dim(1);
        Check.Shape(h, nameof(h), rows, -1);
        Check.Floating(x, nameof(x));
        ((ColumnRange)h).Check(nameof(h), rows, h.Dim(1), x);
        int first = int.MaxValue, end = 0;
        foreach ((Tensor gradient, int from) in targets)
        {
            Check.Shape(gradient, nameof(targets), -1, columns);
            Check.DType(gradient, nameof(targets), DType.F32);
            Check.SameDevice(device, gradient, nameof(targets));
            if (from < 0 || from > h.Dim(1) - gradient.Dim(0))
                throw new ArgumentException($"columns {from} to {from + gradient.Dim(0)} of h {h.Shape}, expected columns within it", nameof(targets));
            if (gradient.Dim(0) > 0) (first, end) = (Math.Min(first, from), Math.Max(end, from + gradient.Dim(0)));
        }
        int rank = end - first;
        if (end == 0 || columns == 0) return;
        if (rows == 0)
        {
            foreach ((Tensor gradient, _) in targets)
                if (!accumulate) gradient.Clear();
            return;
        }
        if (dropout is not null) scale *= dropout.Factor;
        int ranks = RanksPerRead(rank, WidestSides), groups = Divided(rank, ranks), shared = 4 * (Side + ranks) * Depth * 2;
        if (Choose("low_rank_input_gradient", device, x.DType, rank, WidestSides, shared) == LowRankPassKind.Blas)
        {
            using Tensor? kept = Kept(x, dropout);
            foreach ((Tensor gradient, int from) in targets)
                Gemm.Run(new(h, from, h.Dim(1)), true, new(kept ?? x, 0, columns), false, new(gradient, 0, columns), gradient.Dim(0), columns, rows, scale, accumulate ? 1 : 0);
            return;
        }
        int blocks = Divided(columns, Side), shares = Shares(device, Divided(rows, Depth), blocks * groups);
        using Tensor partial = Tensor.Empty(device, (shares, rank, columns));
        var args = new LowRankInputGradientArgs
        {
            X = x.Pointer, H = new ColumnRange(h, first, rank).Pointer, Partial = partial.Pointer, Dropout = dropout?.Source(1) ?? default,
            Rows = rows, Columns = columns, Rank = rank, SkinnyStride = h.Dim(1), Shares = shares,
        };
        string entry = ranks switch { 32 => "low_rank_input_gradient_32_bf16", 64 => "low_rank_input_gradient_64_bf16", _ => "low_rank_input_gradient_128_bf16" };
        device.Kernel(PassModule, entry).Launch(args, blocks, shares, groups, PassThreads, shared);
        foreach ((Tensor gradient, int from) in targets)
            LowRankReduce.Gradient(partial, shares, (long)(from - first) * columns, columns, 0, null, scale, gradient, accumulate);
    }

    private static void OutputGradientsByBlas(Tensor dy, LowRankFactors factors, in ColumnRange z, in ColumnRange g, in ColumnRange? scaled, in LowRankGradients gradients, bool accumulate)
    {
        int rows = dy.Dim(0), columns = dy.Dim(1), rank = factors.Rank;
        var wide = new Gemm.Operand(dy, 0, Math.Max(1, columns));
        Gemm.Run(wide, false, new(factors.Left, 0, rank), false, g.Operand, rows, rank, columns);
        if (scaled is { } copy) LowRankReduce.ScaleColumns(g, factors.Middle, factors.Scale, copy);
        if (gradients.Left is not { } left) return;
        int from = gradients.LeftFrom, count = rank - from;
        using Tensor? weighted = factors.Middle is null ? null : Tensor.Empty(dy.Device, (rows, rank), dy.DType);
        if (weighted is not null) LowRankReduce.ScaleColumns(z, factors.Middle, factors.Scale, weighted);
        Gemm.Operand source = weighted is null ? new(z.Matrix, z.From + from, z.Stride) : new(weighted, from, rank);
        Gemm.Run(wide, true, source, false, new(left, 0, Math.Max(1, count)), columns, count, rows, weighted is null ? factors.Scale : 1, accumulate ? 1 : 0);
    }

    // Between library calls the dropped x has to be in memory for a moment; its factor goes into the product's alpha.
    private static Tensor? Kept(Tensor x, DropoutMask? dropout)
    {
        if (dropout is null) return null;
        Tensor kept = Tensor.Empty(x.Device, x.Shape, x.DType);
        Dropout.Run(x, kept, dropout, factor: 1);
        return kept;
    }

    // The rule: BLAS on the CPU device; on a GPU the kernels while one read of the wide operand serves all columns, and cuBLAS beyond,
    // in F32, and where a block may not have the shared memory (compute capability 8.6 and 8.9 have 99 KiB).
    private static LowRankPassKind Choose(string what, Device device, DType type, int rank, int widest, int sharedBytes)
    {
        string? refusal = type != DType.BF16 ? "they are BF16 only" : sharedBytes > device.SharedBytesPerBlock ? "the device has too little shared memory for them" : null;
        LowRankPassKind wanted = Passes ?? (device.Kind == DeviceKind.Cpu || rank > widest ? LowRankPassKind.Blas : LowRankPassKind.Kernels);
        LowRankPassKind chosen = refusal is null ? wanted : LowRankPassKind.Blas;
        bool vain = Passes is { } forced && forced != chosen;
        device.Variants.Add(new VariantUse(what, Forced.NameOf(chosen), vain ? Forced.NameOf(wanted) : null, vain ? refusal : null));
        return chosen;
    }

    private static void CheckMiddle(Tensor middle, int rank, Device device)
    {
        Check.Shape(middle, nameof(middle), rank);
        Check.DType(middle, nameof(middle), DType.F32);
        Check.SameDevice(device, middle, nameof(middle));
    }

    private static int RanksPerRead(int rank, int widest) => rank <= 32 ? 32 : rank <= 64 ? 64 : widest;

    // Shares of a reduction, so that about every multiprocessor has a block; on the CPU device a fixed number, since results depend on it.
    private static int Shares(Device device, int tiles, int blocks)
    {
        int wanted = (device.Kind == DeviceKind.Cpu ? CpuBlocks : device.MultiprocessorCount) / blocks;
        int shares = Math.Clamp(wanted, 1, Math.Max(1, tiles)), each = Math.Max(1, Divided(tiles, shares));
        return Math.Max(1, Divided(tiles, each));
    }

    private static int Divided(int length, int size) => (int)((length + (long)size - 1) / size);
}
