using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

public static partial class LowRank
{
    private const int WidestOutput = 64;

    /// <summary>
    /// Computes g = dy L, Scale · c ∘ g, or both, and the wanted gradients <c>dL = Scale · dyᵀ (z ∘ c)</c> and <c>dcᵢ =
    /// Scale · Σₜ gₜᵢ zₜᵢ</c>. The kernels read dy once for all of them up to rank 64.
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
}
