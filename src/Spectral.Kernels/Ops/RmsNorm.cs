using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Normalises rows by their root mean square: <c>y = x / √(mean(x²) + ε) ∘ w</c> (Zhang and Sennrich 2019), statistics
/// in F32.
/// </summary>
public static class RmsNorm
{
    private const int ChunkRows = 32;

    /// <summary>Normalises every row of x and multiplies it by the weight.</summary>
    /// <param name="x">[N, D] F32 or BF16.</param>
    /// <param name="weight">[D], type of x.</param>
    /// <param name="epsilon">Added to the mean square; not negative.</param>
    /// <param name="y">[N, D], type of x, columns of a wider matrix or all; may be x.</param>
    /// <param name="inverseRms">[N] F32: 1 / √(mean(x²) + ε), kept for backward.</param>
    /// <param name="weightOffset">
    /// Added to every weight, in F32: 1 where weights are stored as differences to 1.
    /// </param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(
        Tensor x,
        Tensor weight,
        float epsilon,
        ColumnRange y,
        Tensor inverseRms,
        float weightOffset = 0
    )
    {
        Verify(x, weight, inverseRms);
        Check.Operand(y, x, [x.Dim(0), x.Dim(1)]);
        if (!(epsilon >= 0))
            throw new ArgumentException($"epsilon is {epsilon}, expected 0 or more", nameof(epsilon));
        if (x.Count == 0)
            return;
        var args = new RmsNormForwardArgs
        {
            X = x.Pointer,
            Weight = weight.Pointer,
            Y = y.Pointer,
            InverseRms = inverseRms.Pointer,
            Rows = x.Dim(0),
            Columns = x.Dim(1),
            YStride = y.Stride,
            Lanes = Launch.RowLanes(x.Dim(1)),
            Epsilon = epsilon,
            WeightOffset = weightOffset,
        };
        RmsNormForwardArgs.Kernel.Launch(x.Device, x.DType, args, Launch.RowBlocks(args.Rows, args.Lanes));
    }

    /// <summary>
    /// Computes <c>dx = r (w∘dy − x r² mean(w∘dy∘x)) + dResidual</c> and, where asked for, <c>dw = Σ dy∘x r</c> over
    /// the rows, with r the saved inverse RMS.
    /// </summary>
    /// <param name="x">[N, D], as in forward.</param>
    /// <param name="weight">[D].</param>
    /// <param name="inverseRms">[N] F32, from forward.</param>
    /// <param name="dy">[N, D], type of x.</param>
    /// <param name="dx">[N, D], type of x, columns of a wider matrix or all; written. May be
    /// <paramref name="dResidual"/> or dy.</param>
    /// <param name="dResidual">[N, D], gradient of the branch around the norm, columns of a wider matrix or all; added
    /// into dx. Null is 0.</param>
    /// <param name="dWeight">[D] F32; null when the weight is frozen.</param>
    /// <param name="accumulateWeight">Add to what <paramref name="dWeight"/> holds.</param>
    /// <param name="weightOffset">As in forward.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        Tensor x,
        Tensor weight,
        Tensor inverseRms,
        Tensor dy,
        ColumnRange dx,
        ColumnRange? dResidual = null,
        Tensor? dWeight = null,
        bool accumulateWeight = false,
        float weightOffset = 0
    )
    {
        Verify(x, weight, inverseRms);
        Check.SameAs(dy, x);
        Check.Operand(dx, x, [x.Dim(0), x.Dim(1)]);
        Check.Optional(dResidual, x, [x.Dim(0), x.Dim(1)]);
        if (dWeight is not null)
        {
            Check.Operand(dWeight, x, DType.F32, [x.Dim(1)]);
            WeightGradient(x, inverseRms, dy, dWeight, accumulateWeight); // first: dx may be dy's memory
        }
        if (x.Count == 0)
            return;
        var args = new RmsNormBackwardArgs
        {
            X = x.Pointer,
            Weight = weight.Pointer,
            InverseRms = inverseRms.Pointer,
            Dy = dy.Pointer,
            DResidual = dResidual?.Pointer ?? 0,
            Dx = dx.Pointer,
            Rows = x.Dim(0),
            Columns = x.Dim(1),
            ResidualStride = dResidual?.Stride ?? 0,
            DxStride = dx.Stride,
            Lanes = Launch.RowLanes(x.Dim(1)),
            WeightOffset = weightOffset,
        };
        RmsNormBackwardArgs.Kernel.Launch(x.Device, x.DType, args, Launch.RowBlocks(args.Rows, args.Lanes));
    }

    private static void WeightGradient(Tensor x, Tensor inverseRms, Tensor dy, Tensor dWeight, bool accumulate)
    {
        int chunk = Launch.Chunk(x.Dim(0), ChunkRows);
        int chunks = Launch.Blocks(x.Dim(0), chunk);
        int columns = x.Dim(1);
        using var partials = Tensor.Empty(x.Device, (chunks, columns));
        if (partials.Count > 0)
        {
            var args = new RmsNormWeightGradientArgs
            {
                X = x.Pointer,
                InverseRms = inverseRms.Pointer,
                Dy = dy.Pointer,
                Partials = partials.Pointer,
                Rows = x.Dim(0),
                Columns = columns,
                Chunk = chunk,
            };
            RmsNormWeightGradientArgs.Kernel.Launch(
                x.Device,
                x.DType,
                args,
                (Launch.Blocks(columns, RmsNormWeightGradientArgs.Kernel.Threads * (16 / x.DType.Size())), chunks)
            );
        }
        BiasGradient.Run(partials, dWeight, accumulate);
    }

    private static void Verify(Tensor x, Tensor weight, Tensor inverseRms)
    {
        Check.Floating(x, [-1, -1]);
        Check.Operand(weight, x, [x.Dim(1)]);
        Check.Operand(inverseRms, x, DType.F32, [x.Dim(0)]);
    }
}
