using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Adafactor (Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018) with a given
/// learning rate and without momentum. Rate, decay and clip factor are those of a <see cref="StepState"/>.
/// </summary>
public static class Adafactor
{
    /// <summary>
    /// Updates a matrix once, with second moments that are the product of a mean for each row and one for each column,
    /// divided by the mean of the rows' means. The share of step t in them is t^−power.
    /// </summary>
    /// <param name="parameter">[m, n] F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="rows">[m] F32, zero before step 1; updated.</param>
    /// <param name="columns">[n] F32, zero before step 1; updated.</param>
    /// <param name="power">How fast the moments slow down; 0.8 in the paper.</param>
    /// <param name="threshold">Largest root mean square of the direction; 1 in the paper.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        Tensor parameter,
        Tensor gradient,
        Tensor rows,
        Tensor columns,
        float power,
        float threshold,
        StepState state,
        float rate = 1
    )
    {
        Check.Operand(parameter, DType.F32, [-1, -1]);
        (int m, int n) = (parameter.Dim(0), parameter.Dim(1));
        Check.SameAs(gradient, parameter);
        Check.Operand(rows, parameter, [m]);
        Check.Operand(columns, parameter, [n]);
        Check.SameDevice(state.Device, parameter, nameof(state));
        if (parameter.Count > 0)
        {
            var means = new AdafactorMeansArgs
            {
                Gradient = gradient.Pointer,
                State = state.Pointer,
                Power = power,
            };
            Average(means with { Means = rows.Pointer, Lines = m, Length = n, LineStride = n, EntryStride = 1 });
            Average(means with { Means = columns.Pointer, Lines = n, Length = m, LineStride = 1, EntryStride = n });
        }

        using var rowSum = Tensor.Empty(parameter.Device, 1);
        Sum.Run(rows, rowSum);
        var args = new AdafactorArgs
        {
            Rows = rows.Pointer,
            Columns = columns.Pointer,
            RowSum = rowSum.Pointer,
            Width = n,
            Power = power,
            Threshold = threshold,
        };
        Finish(args, parameter, gradient, state, rate);

        void Average(in AdafactorMeansArgs line) =>
            AdafactorMeansArgs.Kernel.Launch(state.Device, line, Launch.RowBlocks(line.Lines));
    }

    /// <summary>Updates an array once, with second moments of its own.</summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="v">Shape of the parameter, F32, zero before step 1; updated.</param>
    /// <param name="power">How fast the moments slow down; 0.8 in the paper.</param>
    /// <param name="threshold">Largest root mean square of the direction; 1 in the paper.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        Tensor parameter,
        Tensor gradient,
        Tensor v,
        float power,
        float threshold,
        StepState state,
        float rate = 1
    )
    {
        Check.Operand(parameter, DType.F32);
        Check.SameAs(gradient, parameter);
        Check.SameAs(v, parameter);
        Check.SameDevice(state.Device, parameter, nameof(state));
        var args = new AdafactorArgs
        {
            V = v.Pointer,
            Width = parameter.Count,
            Power = power,
            Threshold = threshold,
        };
        Finish(args, parameter, gradient, state, rate);
    }

    private static void Finish(AdafactorArgs args, Tensor parameter, Tensor gradient, StepState state, float rate)
    {
        Check.Rate(rate);
        if (parameter.Count == 0)
            return;
        using var direction = Tensor.Empty(parameter.Device, parameter.Shape);
        using var norm = Tensor.Empty(parameter.Device, 1);
        args.Parameter = parameter.Pointer;
        args.Gradient = gradient.Pointer;
        args.X = direction.Pointer;
        args.Norm = norm.Pointer;
        args.State = state.Pointer;
        args.Count = parameter.Count;
        args.Rate = rate;
        int blocks = Launch.FlatBlocks(args.Count, DType.F32);
        AdafactorArgs.Direction.Launch(state.Device, args, blocks);
        GlobalNorm.Run([direction], norm);
        AdafactorArgs.Update.Launch(state.Device, args, blocks);
    }
}
