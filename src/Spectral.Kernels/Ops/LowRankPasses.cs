using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>How the skinny passes of <see cref="LowRank"/> run.</summary>
public enum LowRankPassKind
{
    /// <summary>As matrix products of cuBLAS, or OpenBLAS on the CPU device.</summary>
    Blas,

    /// <summary>As this library's own kernels, which read the wide operand once; BF16 only.</summary>
    Kernels,
}

/// <summary>
/// The passes of low-rank linear layers over their wide activations: <c>z = x Rᵀ</c> forward, <c>g = dy L</c> with the
/// gradients of L and c, and the gradient of R backward. Layers that read the same x have their R below one another and
/// their z and g side by side, so that x is read once for all. All sums are F32, in an order that depends on shapes
/// alone. With a <see cref="DropoutMask"/> x stands for <c>mask ∘ x / (1 − p)</c>.
/// </summary>
public static partial class LowRank
{
    /// <summary>
    /// Environment variable that forces <see cref="LowRankPassKind"/>: <c>blas</c> or <c>kernels</c>.
    /// </summary>
    public const string PassVariable = "SPECTRAL_LOWRANK_PASSES";

    private const int Side = 128;
    private const int Depth = 64;
    private const int CpuBlocks = 8;
    private const int WidestSides = 128;
    private const int WidestOutput = 64;

    private static readonly ForcedChoice<LowRankPassKind> PassChoice = new(
        PassVariable,
        ("blas", LowRankPassKind.Blas),
        ("kernels", LowRankPassKind.Kernels)
    );

    /// <summary>
    /// Returns how the passes are forced to run on a device: by <see cref="ForcePasses"/>, else by <see
    /// cref="PassVariable"/>; null: by rule.
    /// </summary>
    /// <exception cref="InvalidOperationException"><see cref="PassVariable"/> names nothing known.</exception>
    public static LowRankPassKind? ForcedPasses(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        return PassChoice.On(device);
    }

    /// <summary>Forces how the passes run on one device, where that is possible; null: by rule.</summary>
    public static void ForcePasses(Device device, LowRankPassKind? passes)
    {
        ArgumentNullException.ThrowIfNull(device);
        PassChoice.Force(device, passes);
    }

    /// <summary>z = x Rᵀ, Scale · c ∘ z, or both.</summary>
    /// <param name="x">[M, in], F32 or BF16.</param>
    /// <param name="right">R [p, in], same type; of several layers, below one another.</param>
    /// <param name="z">[M, p], same type; overwritten. Null: not wanted.</param>
    /// <param name="middle">c [p] F32, used for <paramref name="scaled"/> only; null: ones.</param>
    /// <param name="scale">Used for <paramref name="scaled"/> only.</param>
    /// <param name="scaled">[M, p], same type; overwritten. Null: not wanted.</param>
    /// <param name="dropout">Applied to x, which then is a matrix of its own; null: none.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void Project(
        ColumnRange x,
        ColumnRange right,
        ColumnRange? z,
        Tensor? middle = null,
        float scale = 1,
        ColumnRange? scaled = null,
        DropoutMask? dropout = null
    )
    {
        Check.Floating(x);
        Check.Operand(right, x, [-1, x.Count]);
        (Tensor wide, int rows, int columns, int rank) = (x.Matrix, x.Rows, x.Count, right.Rows);
        Device device = wide.Device;
        if (z is null && scaled is null)
            throw new ArgumentNullException(nameof(z), "expected z, scaled or both");
        Check.Optional(z, x, [rows, rank]);
        if (middle is not null)
            Check.Operand(middle, wide, DType.F32, [rank]);
        Check.Optional(scaled, x, [rows, rank]);
        VerifyMasked(x, dropout);
        if (rows == 0 || rank == 0)
            return;

        int ranks = RanksPerRead(rank, WidestSides);
        int groups = Launch.Blocks(rank, ranks);
        KernelEntry<LowRankProjectArgs> pass = ranks switch
        {
            32 => LowRankProjectArgs.Ranks32,
            64 => LowRankProjectArgs.Ranks64,
            _ => LowRankProjectArgs.Ranks128,
        };
        if (Choose("low_rank_project", device, wide.DType, rank, WidestSides, pass.SharedBytes) == LowRankPassKind.Blas)
        {
            using Tensor? kept = Kept(wide, dropout);
            ProductByBlas(
                kept is null ? x.Operand : new(kept, 0, Math.Max(1, columns)),
                right.Operand.Transpose(),
                z,
                middle,
                scale,
                scaled,
                new GemmSize(rows, rank, columns),
                dropout?.Factor ?? 1
            );
            return;
        }
        int blocks = Launch.Blocks(rows, Side);
        int shares = Shares(device, Launch.Blocks(columns, Depth), blocks * groups);
        using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, rows, rank)) : null;
        var args = new LowRankProjectArgs
        {
            X = x.Pointer,
            Right = right.Pointer,
            Middle = middle?.Pointer ?? 0,
            Z = z?.Pointer ?? 0,
            Scaled = scaled?.Pointer ?? 0,
            Partial = partial?.Pointer ?? 0,
            Dropout = dropout?.Source(dropout.Factor) ?? default,
            Rows = rows,
            Columns = columns,
            Rank = rank,
            XStride = x.Stride,
            RightStride = right.Stride,
            ResultStride = z?.Stride ?? 0,
            ScaledStride = scaled?.Stride ?? 0,
            Shares = shares,
            Scale = scale,
        };
        pass.Launch(device, args, (blocks, shares, groups));
        if (partial is not null)
            LowRankReduce.Rows(partial, z, middle, scale, scaled);
    }

    /// <summary>
    /// g = dy L, Scale · c ∘ g, or both; and the wanted gradients <c>dL = Scale · dyᵀ (z ∘ c)</c> and <c>dcᵢ = Scale ·
    /// Σₜ gₜᵢ zₜᵢ</c>. The kernels read dy once for all of them up to rank 64.
    /// </summary>
    /// <param name="dy">[M, out], F32 or BF16.</param>
    /// <param name="factors">L, c and the scale; R is not used.</param>
    /// <param name="z">[M, p], same type: x Rᵀ of the forward pass. May be null when dc is not wanted, and dL either or
    /// <paramref name="scaledZ"/> there.</param>
    /// <param name="g">[M, p], same type; overwritten. May be null when dc is not wanted.</param>
    /// <param name="scaled">[M, p], same type; overwritten. Null: not wanted.</param>
    /// <param name="gradients">Its Left and Middle are written; Right is not.</param>
    /// <param name="accumulate">Add to the gradients instead of overwriting them.</param>
    /// <param name="scaledZ">[M, p], same type: Scale · c ∘ z, from which dL is taken instead of from z.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void OutputGradients(
        ColumnRange dy,
        LowRankFactors factors,
        ColumnRange? z,
        ColumnRange? g,
        ColumnRange? scaled,
        in LowRankGradients gradients,
        bool accumulate = false,
        ColumnRange? scaledZ = null
    )
    {
        Check.Floating(dy);
        (Tensor wide, int rows, int columns, int rank) = (dy.Matrix, dy.Rows, dy.Count, factors.Rank);
        Device device = wide.Device;
        factors.Verify(columns, factors.Right.Dim(1), wide);
        Check.Operand(wide, factors.Left, name: nameof(dy), likeName: nameof(factors.Left));
        Check.Optional(z, dy, [rows, rank]);
        Check.Optional(scaledZ, dy, [rows, rank]);
        Check.Optional(g, dy, [rows, rank]);
        Check.Optional(scaled, dy, [rows, rank]);
        (gradients with { Right = null }).Verify(columns, 0, rank, wide);
        if (g is null && (scaled is null || gradients.Middle is not null))
            throw new ArgumentNullException(nameof(g), "expected g or scaled, and g for the gradient of c");
        ColumnRange? source = scaledZ ?? z;
        if ((gradients.Left is not null && source is null) || (gradients.Middle is not null && z is null))
            throw new ArgumentNullException(nameof(z), "expected z for the gradient of c, z or scaledZ for that of L");
        (Tensor? middleOfLeft, float scaleOfLeft) = scaledZ is null ? (factors.Middle, factors.Scale) : (null, 1);
        if (rows == 0)
        {
            if (!accumulate)
                gradients.Left?.Clear();
            if (!accumulate)
                gradients.Middle?.Clear();
            return;
        }
        int ranks = RanksPerRead(rank, WidestOutput);
        int chunks = 128 / ranks;
        KernelEntry<LowRankOutputGradientsArgs> pass =
            ranks == 32 ? LowRankOutputGradientsArgs.Ranks32 : LowRankOutputGradientsArgs.Ranks64;
        if (
            Choose("low_rank_output_gradients", device, wide.DType, rank, WidestOutput, pass.SharedBytes)
            == LowRankPassKind.Blas
        )
        {
            ProductByBlas(
                dy.Operand,
                new(factors.Left, 0, rank),
                g,
                factors.Middle,
                factors.Scale,
                scaled,
                new GemmSize(rows, rank, columns),
                1
            );
            if (gradients.Left is { } left)
                LeftGradientByBlas(dy, source!.Value, middleOfLeft, scaleOfLeft, left, gradients.LeftFrom, accumulate);
        }
        else
        {
            int groups = Launch.Blocks(rank, ranks);
            int blocks = Launch.Blocks(rows, chunks * Side);
            int shares = Shares(device, Launch.Blocks(columns, Side), blocks * groups);
            using Tensor? partial = shares > 1 ? Tensor.Empty(device, (shares, rows, rank)) : null;
            using Tensor? leftPartial = gradients.Left is null ? null : Tensor.Empty(device, (blocks, columns, rank));
            var args = new LowRankOutputGradientsArgs
            {
                Dy = dy.Pointer,
                Left = factors.Left.Pointer,
                Z = source?.Pointer ?? 0,
                Middle = factors.Middle?.Pointer ?? 0,
                G = g?.Pointer ?? 0,
                Scaled = scaled?.Pointer ?? 0,
                Partial = partial?.Pointer ?? 0,
                LeftPartial = leftPartial?.Pointer ?? 0,
                Rows = rows,
                Columns = columns,
                Rank = rank,
                DyStride = dy.Stride,
                SkinnyStride = source?.Stride ?? 0,
                ResultStride = g?.Stride ?? 0,
                ScaledStride = scaled?.Stride ?? 0,
                Shares = shares,
                Scale = factors.Scale,
            };
            pass.Launch(device, args, (blocks, shares, groups));
            if (partial is not null)
                LowRankReduce.Rows(partial, g, factors.Middle, factors.Scale, scaled);
            if (leftPartial is not null)
            {
                LowRankReduce.Gradient(
                    leftPartial,
                    blocks,
                    0,
                    rank,
                    gradients.LeftFrom,
                    middleOfLeft,
                    scaleOfLeft,
                    gradients.Left!,
                    accumulate
                );
            }
        }
        if (gradients.Middle is not null)
            LowRankReduce.MiddleGradient(g!.Value, z!.Value, factors.Scale, gradients.Middle, accumulate);
    }

    /// <summary>
    /// For each target, dR (+)= scale · hᵀ x of its columns of h; the kernels read x once for all targets up to 128
    /// columns.
    /// </summary>
    /// <param name="h">[M, p], F32 or BF16: g, or g ∘ c, of all layers that read x.</param>
    /// <param name="x">[M, in], same type.</param>
    /// <param name="targets">A gradient of R [columns, in] F32 each, and the first column of h that belongs to it; in
    /// ascending order.</param>
    /// <param name="scale">Factor of the products.</param>
    /// <param name="accumulate">Add to the gradients instead of overwriting them.</param>
    /// <param name="dropout">Applied to x, which then is a matrix of its own; null: none.</param>
    /// <exception cref="ArgumentException">Shapes, types or devices do not fit.</exception>
    public static void InputGradient(
        ColumnRange h,
        ColumnRange x,
        ReadOnlySpan<(Tensor Gradient, int From)> targets,
        float scale = 1,
        bool accumulate = false,
        DropoutMask? dropout = null
    )
    {
        Check.Floating(x);
        (Tensor wide, int rows, int columns) = (x.Matrix, x.Rows, x.Count);
        Device device = wide.Device;
        Check.Operand(h, x, [rows, -1]);
        VerifyMasked(x, dropout);
        int first = int.MaxValue;
        int end = 0;
        foreach ((Tensor gradient, int from) in targets)
        {
            Check.Operand(gradient, wide, DType.F32, [-1, columns], nameof(targets));
            if (from < 0 || from > h.Count - gradient.Dim(0))
            {
                throw new ArgumentException(
                    $"columns {from} to {from + gradient.Dim(0)} of the {h.Count} of h, expected columns within it",
                    nameof(targets)
                );
            }

            if (gradient.Dim(0) > 0)
                (first, end) = (Math.Min(first, from), Math.Max(end, from + gradient.Dim(0)));
        }
        int rank = end - first;
        if (end == 0 || columns == 0)
            return;
        if (rows == 0)
        {
            foreach ((Tensor gradient, _) in targets)
            {
                if (!accumulate)
                    gradient.Clear();
            }

            return;
        }
        if (dropout is not null)
            scale *= dropout.Factor;
        int ranks = RanksPerRead(rank, WidestSides);
        int groups = Launch.Blocks(rank, ranks);
        KernelEntry<LowRankInputGradientArgs> pass = ranks switch
        {
            32 => LowRankInputGradientArgs.Ranks32,
            64 => LowRankInputGradientArgs.Ranks64,
            _ => LowRankInputGradientArgs.Ranks128,
        };
        if (
            Choose("low_rank_input_gradient", device, wide.DType, rank, WidestSides, pass.SharedBytes)
            == LowRankPassKind.Blas
        )
        {
            using Tensor? kept = Kept(wide, dropout);
            GemmOperand all = kept is null ? x.Operand : new(kept, 0, columns);
            foreach ((Tensor gradient, int from) in targets)
            {
                Gemm.Run(
                    new GemmOperand(h.Matrix, h.From + from, h.Stride).Transpose(),
                    all,
                    new(gradient, 0, columns),
                    new GemmSize(gradient.Dim(0), columns, rows),
                    scale,
                    accumulate ? 1 : 0
                );
            }

            return;
        }
        int blocks = Launch.Blocks(columns, Side);
        int shares = Shares(device, Launch.Blocks(rows, Depth), blocks * groups);
        using var partial = Tensor.Empty(device, (shares, rank, columns));
        var args = new LowRankInputGradientArgs
        {
            X = x.Pointer,
            H = new ColumnRange(h.Matrix, h.From + first, rank).Pointer,
            Partial = partial.Pointer,
            Dropout = dropout?.Source(1) ?? default,
            Rows = rows,
            Columns = columns,
            Rank = rank,
            XStride = x.Stride,
            SkinnyStride = h.Stride,
            Shares = shares,
        };
        pass.Launch(device, args, (blocks, shares, groups));
        foreach ((Tensor gradient, int from) in targets)
        {
            LowRankReduce.Gradient(
                partial,
                shares,
                (long)(from - first) * columns,
                columns,
                0,
                null,
                scale,
                gradient,
                accumulate
            );
        }
    }

    // result = factor · wide skinny, scaled = scale · c ∘ result. Without a result the product goes into its scaled
    // copy, by a factor alone where there is no diagonal.
    private static void ProductByBlas(
        in GemmOperand wide,
        in GemmOperand skinny,
        in ColumnRange? result,
        Tensor? middle,
        float scale,
        in ColumnRange? scaled,
        in GemmSize size,
        float factor
    )
    {
        bool folded = result is null && middle is null;
        Gemm.Run(wide, skinny, (result ?? scaled!.Value).Operand, size, folded ? factor * scale : factor);
        if (scaled is { } copy && !folded)
            LowRankReduce.ScaleColumns(result ?? copy, middle, scale, copy);
    }

    // dL (+)= scale · dyᵀ (z ∘ c), columns `from` on.
    private static void LeftGradientByBlas(
        in ColumnRange dy,
        in ColumnRange z,
        Tensor? middle,
        float scale,
        Tensor left,
        int from,
        bool accumulate
    )
    {
        int count = z.Count - from;
        using Tensor? weighted = middle is null ? null : Tensor.Empty(left.Device, (z.Rows, z.Count), z.Matrix.DType);
        if (weighted is not null)
            LowRankReduce.ScaleColumns(z, middle, scale, weighted);
        GemmOperand source = weighted is null ? new(z.Matrix, z.From + from, z.Stride) : new(weighted, from, z.Count);
        Gemm.Run(
            dy.Operand.Transpose(),
            source,
            new(left, 0, Math.Max(1, count)),
            new GemmSize(dy.Count, count, dy.Rows),
            weighted is null ? scale : 1,
            accumulate ? 1 : 0
        );
    }

    // Between library calls the dropped x has to be in memory for a moment; its factor goes into the product's alpha.
    private static Tensor? Kept(Tensor x, DropoutMask? dropout)
    {
        if (dropout is null)
            return null;
        var kept = Tensor.Empty(x.Device, x.Shape, x.DType);
        Dropout.Run(x, kept, dropout, factor: 1);
        return kept;
    }

    // The rule: BLAS on the CPU device; on a GPU the kernels while one read of the wide operand serves all columns, and
    // cuBLAS beyond, in F32, and where a block may not have the shared memory (compute capability 8.6 and 8.9 have 99
    // KiB).
    private static LowRankPassKind Choose(string what, Device device, DType type, int rank, int widest, int sharedBytes)
    {
        string? refusal = null;
        if (type != DType.BF16)
            refusal = "they are BF16 only";
        else if (sharedBytes > device.SharedBytesPerBlock)
            refusal = "the device has too little shared memory for them";
        LowRankPassKind? given = PassChoice.On(device);
        LowRankPassKind wanted =
            given ?? (device.Kind == DeviceKind.Cpu || rank > widest ? LowRankPassKind.Blas : LowRankPassKind.Kernels);
        LowRankPassKind chosen = refusal is null ? wanted : LowRankPassKind.Blas;
        bool vain = given is { } forced && forced != chosen;
        device.Variants.Add(
            new VariantUse(
                what,
                PassChoice.NameOf(chosen),
                vain ? PassChoice.NameOf(wanted) : null,
                vain ? refusal : null
            )
        );
        return chosen;
    }

    // The mask's elements are counted along x, and dropping by library calls needs a copy of it.
    private static void VerifyMasked(in ColumnRange x, DropoutMask? dropout)
    {
        if (dropout is not null && x.Count != x.Stride)
        {
            throw new ArgumentException(
                $"x is {x.Count} columns of {x.Matrix.Shape}, expected all of them with dropout",
                nameof(x)
            );
        }
    }

    private static int RanksPerRead(int rank, int widest) =>
        rank switch
        {
            <= 32 => 32,
            <= 64 => 64,
            _ => widest,
        };

    // Shares of a reduction, so that about every multiprocessor has a block; on the CPU device a fixed number, since
    // results depend on it.
    private static int Shares(Device device, int tiles, int blocks)
    {
        int wanted = (device.Kind == DeviceKind.Cpu ? CpuBlocks : device.MultiprocessorCount) / blocks;
        int shares = Math.Clamp(wanted, 1, Math.Max(1, tiles));
        int each = Math.Max(1, Launch.Blocks(tiles, shares));
        return Math.Max(1, Launch.Blocks(tiles, each));
    }
}
