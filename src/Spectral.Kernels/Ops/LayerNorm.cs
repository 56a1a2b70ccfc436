using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Normalises rows by their mean and deviation: <c>y = (x − m) r ∘ w + b</c>, <c>m = mean(x)</c>,
/// <c>r = 1 / √(mean((x − m)²) + ε)</c> (Ba, Kiros and Hinton 2016), statistics in F32.
/// </summary>
public static class LayerNorm
{
    private const int ChunkRows = 32;

    /// <summary>Normalises every row of x, multiplies it by the weight and adds the bias.</summary>
    /// <param name="x">[N, D] F32 or BF16.</param>
    /// <param name="weight">[D], type of x; or [W, D], of which row n of x has row n mod W, as heads that lie side by
    /// side have weights of their own.</param>
    /// <param name="bias">[D], type of x; null: none.</param>
    /// <param name="epsilon">Added to the variance; not negative.</param>
    /// <param name="y">[N, D], type of x, columns of a wider matrix or all; may be x.</param>
    /// <param name="statistics">[N, 2] F32: m and r of each row, kept for backward.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor x, Tensor weight, Tensor? bias, float epsilon, ColumnRange y, Tensor statistics)
    {
        Verify(x, weight, statistics);
        if (bias is not null)
            Check.Operand(bias, x, [x.Dim(1)]);
        Check.Operand(y, x, [x.Dim(0), x.Dim(1)]);
        if (!(epsilon >= 0))
            throw new ArgumentException($"epsilon is {epsilon}, expected 0 or more", nameof(epsilon));
        if (x.Count == 0)
            return;
        var args = new LayerNormForwardArgs
        {
            X = x.Pointer,
            Weight = weight.Pointer,
            Bias = bias?.Pointer ?? 0,
            Y = y.Pointer,
            Statistics = statistics.Pointer,
            Rows = x.Dim(0),
            Columns = x.Dim(1),
            WeightRows = WeightRows(weight),
            YStride = y.Stride,
            Lanes = Launch.RowLanes(x.Dim(1)),
            Epsilon = epsilon,
        };
        LayerNormForwardArgs.Kernel.Launch(x.Device, x.DType, args, Launch.RowBlocks(args.Rows, args.Lanes));
    }

    /// <summary>
    /// Computes <c>dx = r (w∘dy − mean(w∘dy) − n mean(w∘dy∘n)) + dResidual</c> with <c>n = (x − m) r</c> and, where
    /// asked for, <c>dw = Σ dy∘n</c> and <c>db = Σ dy</c> over the rows, with the saved m and r.
    /// </summary>
    /// <param name="x">[N, D], as in forward.</param>
    /// <param name="weight">[D] or [W, D], as in forward.</param>
    /// <param name="statistics">[N, 2] F32, from forward.</param>
    /// <param name="dy">[N, D], type of x.</param>
    /// <param name="dx">[N, D], type of x, columns of a wider matrix or all; written. May be
    /// <paramref name="dResidual"/> or dy.</param>
    /// <param name="dResidual">[N, D], gradient of the branch around the norm, columns of a wider matrix or all; added
    /// into dx. Null is 0.</param>
    /// <param name="dWeight">F32, shape of the weight; null when the weight is frozen.</param>
    /// <param name="dBias">[D] F32; null when there is no bias or it is frozen.</param>
    /// <param name="accumulate">Add to what <paramref name="dWeight"/> and <paramref name="dBias"/> hold.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        Tensor x,
        Tensor weight,
        Tensor statistics,
        Tensor dy,
        ColumnRange dx,
        ColumnRange? dResidual = null,
        Tensor? dWeight = null,
        Tensor? dBias = null,
        bool accumulate = false
    )
    {
        Verify(x, weight, statistics);
        Check.SameAs(dy, x);
        Check.Operand(dx, x, [x.Dim(0), x.Dim(1)]);
        Check.Optional(dResidual, x, [x.Dim(0), x.Dim(1)]);
        if (dWeight is not null)
        {
            Check.Operand(dWeight, x, DType.F32, weight.Shape.Rank == 1 ? [x.Dim(1)] : [weight.Dim(0), x.Dim(1)]);
            WeightGradient(x, statistics, dy, dWeight, accumulate); // first: dx may be dy's memory
        }
        if (dBias is not null)
        {
            Check.Operand(dBias, x, DType.F32, [x.Dim(1)]);
            BiasGradient.Run(dy, dBias, accumulate);
        }
        if (x.Count == 0)
            return;
        var args = new LayerNormBackwardArgs
        {
            X = x.Pointer,
            Weight = weight.Pointer,
            Statistics = statistics.Pointer,
            Dy = dy.Pointer,
            DResidual = dResidual?.Pointer ?? 0,
            Dx = dx.Pointer,
            Rows = x.Dim(0),
            Columns = x.Dim(1),
            WeightRows = WeightRows(weight),
            ResidualStride = dResidual?.Stride ?? 0,
            DxStride = dx.Stride,
            Lanes = Launch.RowLanes(x.Dim(1)),
        };
        LayerNormBackwardArgs.Kernel.Launch(x.Device, x.DType, args, Launch.RowBlocks(args.Rows, args.Lanes));
    }

    private static void WeightGradient(Tensor x, Tensor statistics, Tensor dy, Tensor dWeight, bool accumulate)
    {
        int weightRows = WeightRows(dWeight);
        int chunk = Launch.Chunk(x.Dim(0) / weightRows, ChunkRows);
        int chunks = Launch.Blocks(x.Dim(0) / weightRows, chunk);
        int columns = weightRows * x.Dim(1);
        using var partials = Tensor.Empty(x.Device, (chunks, columns));
        if (partials.Count > 0)
        {
            var args = new LayerNormWeightGradientArgs
            {
                X = x.Pointer,
                Statistics = statistics.Pointer,
                Dy = dy.Pointer,
                Partials = partials.Pointer,
                Rows = x.Dim(0),
                Columns = x.Dim(1),
                WeightRows = weightRows,
                Chunk = chunk,
            };
            LayerNormWeightGradientArgs.Kernel.Launch(
                x.Device,
                x.DType,
                args,
                (Launch.Blocks(columns, LayerNormWeightGradientArgs.Kernel.Threads * (16 / x.DType.Size())), chunks)
            );
        }
        using Tensor flat = dWeight.View(columns);
        BiasGradient.Run(partials, flat, accumulate);
    }

    private static int WeightRows(Tensor weight) => weight.Shape.Rank == 1 ? 1 : weight.Dim(0);

    private static void Verify(Tensor x, Tensor weight, Tensor statistics)
    {
        Check.Floating(x, [-1, -1]);
        Check.Operand(weight, x, weight.Shape.Rank == 1 ? [x.Dim(1)] : [-1, x.Dim(1)]);
        if (WeightRows(weight) is var rows && (rows == 0 || x.Dim(0) % rows != 0))
        {
            throw new ArgumentException(
                $"weight is {weight.Shape} for {x.Dim(0)} rows, expected as many rows as divide theirs",
                nameof(weight)
            );
        }
        Check.Operand(statistics, x, DType.F32, [x.Dim(0), 2]);
    }
}
