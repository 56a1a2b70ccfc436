using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Adafactor (Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018) with a given
/// learning rate and without momentum. Rate, decay and clip factor are those of a <see cref="StepState"/>.
/// </summary>
public static class Adafactor
{
    private const int MostTiles = 1 << 14; // of a matrix: their sums are added by one warp

    /// <summary>
    /// Computes the share t^−power of step t in the moments. Call it once per step, before <c>Step</c>.
    /// </summary>
    /// <param name="share">[1] F32; written, unless the step is skipped.</param>
    /// <param name="power">How fast the moments slow down; 0.8 in the paper.</param>
    /// <param name="state">Advanced for this step.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Advance(Tensor share, float power, StepState state)
    {
        Check.Operand(share, DType.F32, [1]);
        Check.SameDevice(state.Device, share, nameof(state));
        var args = new AdafactorArgs
        {
            Share = share.Pointer,
            State = state.Pointer,
            Power = power,
        };
        AdafactorArgs.Advance.Launch(state.Device, args, 1);
    }

    /// <summary>
    /// Updates a matrix once, with second moments that are the product of a mean for each row and one for each column,
    /// divided by the mean of the rows' means.
    /// </summary>
    /// <param name="parameter">[m, n] F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="rows">[m] F32, zero before step 1; updated.</param>
    /// <param name="columns">[n] F32, zero before step 1; updated.</param>
    /// <param name="share">What <see cref="Advance"/> wrote for this step.</param>
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
        Tensor share,
        float threshold,
        StepState state,
        float rate = 1
    )
    {
        Check.Operand(parameter, DType.F32, [-1, -1]);
        Check.SameAs(gradient, parameter);
        Check.Operand(rows, parameter, [parameter.Dim(0)]);
        Check.Operand(columns, parameter, [parameter.Dim(1)]);
        Run(MatrixBatch.Single(parameter), gradient, rows, columns, null, share, threshold, state, rate);
    }

    /// <summary>
    /// Updates matrices once, like
    /// <see cref="Step(Tensor, Tensor, Tensor, Tensor, Tensor, float, StepState, float)"/> for each, in as many
    /// launches as a single one takes.
    /// </summary>
    /// <param name="parameter">b matrices [m, n] F32; updated.</param>
    /// <param name="gradient">As the parameters lie, F32; clipped on the fly, not changed.</param>
    /// <param name="rows">[b, m] F32, zero before step 1; updated.</param>
    /// <param name="columns">[b, n] F32, zero before step 1; updated.</param>
    /// <param name="share">What <see cref="Advance"/> wrote for this step.</param>
    /// <param name="threshold">Largest root mean square of a direction; 1 in the paper.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">Their factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        in MatrixBatch parameter,
        in MatrixBatch gradient,
        Tensor rows,
        Tensor columns,
        Tensor share,
        float threshold,
        StepState state,
        float rate = 1
    )
    {
        parameter.Verify(nameof(parameter));
        gradient.VerifyLike(parameter, nameof(gradient));
        Check.Operand(rows, parameter.Tensor, [parameter.Count, parameter.Rows]);
        Check.Operand(columns, parameter.Tensor, [parameter.Count, parameter.Columns]);
        Run(parameter, gradient.Tensor, rows, columns, null, share, threshold, state, rate);
    }

    /// <summary>Updates an array once, with second moments of its own.</summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="v">Shape of the parameter, F32, zero before step 1; updated.</param>
    /// <param name="share">What <see cref="Advance"/> wrote for this step.</param>
    /// <param name="threshold">Largest root mean square of the direction; 1 in the paper.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        Tensor parameter,
        Tensor gradient,
        Tensor v,
        Tensor share,
        float threshold,
        StepState state,
        float rate = 1
    )
    {
        Check.Operand(parameter, DType.F32);
        Check.SameAs(gradient, parameter);
        Check.SameAs(v, parameter);
        const int Width = AdafactorArgs.TileColumns; // of the array, cut into rows
        var whole = new MatrixBatch(parameter, 0, Launch.Blocks(parameter.Count, Width), Width);
        Run(whole, gradient, null, null, v, share, threshold, state, rate);
    }

    private static void Run(
        in MatrixBatch parameter,
        Tensor gradient,
        Tensor? rows,
        Tensor? columns,
        Tensor? v,
        Tensor share,
        float threshold,
        StepState state,
        float rate
    )
    {
        Check.Rate(rate);
        Device device = parameter.Tensor.Device;
        Check.Operand(share, parameter.Tensor, DType.F32, [1]);
        Check.SameDevice(state.Device, parameter.Tensor, nameof(state));
        if (parameter.MatrixCount == 0)
            return;
        (int height, int width, int batch) = (parameter.Rows, parameter.Columns, parameter.Count);
        int blocks = Launch.Blocks(width, AdafactorArgs.TileColumns);
        int chunk = Math.Max(AdafactorArgs.LeastChunk, Launch.Blocks((long)height * blocks, MostTiles));
        int parts = Launch.Blocks(height, chunk);
        using Tensor? rowParts = v is null ? Tensor.Empty(device, (batch, blocks, height)) : null;
        using Tensor? columnParts = v is null ? Tensor.Empty(device, (batch, parts, width)) : null;
        using var normParts = Tensor.Empty(device, (batch, parts, blocks), DType.F64);
        using var factors = Tensor.Empty(device, batch);
        var args = new AdafactorArgs
        {
            Parameter = parameter.Pointer,
            Gradient = (parameter with { Tensor = gradient }).Pointer,
            Rows = rows?.Pointer ?? 0,
            Columns = columns?.Pointer ?? 0,
            V = v?.Pointer ?? 0,
            RowParts = rowParts?.Pointer ?? 0,
            ColumnParts = columnParts?.Pointer ?? 0,
            NormParts = normParts.Pointer,
            Factors = factors.Pointer,
            Share = share.Pointer,
            State = state.Pointer,
            Stride = parameter.Stride,
            Count = v?.Count ?? parameter.MatrixCount,
            Height = height,
            Width = width,
            Chunk = chunk,
            Threshold = threshold,
            Rate = rate,
        };
        Grid tiles = new(Launch.Blocks((long)blocks * parts, AdafactorArgs.Squares.Threads), batch);
        if (v is null)
        {
            Launch.Batch(AdafactorArgs.Squares, device, args, tiles);
            Grid lines = new(Launch.Blocks((long)height + width, AdafactorArgs.Means.Threads), batch);
            Launch.Batch(AdafactorArgs.Means, device, args, lines);
        }

        Launch.Batch(AdafactorArgs.Norms, device, args, tiles);
        AdafactorArgs.Finish.Launch(device, args, batch);
        Launch.Batch(AdafactorArgs.Update, device, args, tiles);
    }
}
