using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

public static partial class LowRank
{
    /// <summary>
    /// Computes the gradients of R of several layers: for each target, dR (+)= scale · hᵀ x with its columns of h. The
    /// kernels read x once for all targets up to 128 columns.
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
}
