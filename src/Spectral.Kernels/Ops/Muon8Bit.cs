using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// <see cref="Muon"/> with its momentum in codes of 8 bits: in blocks of 2048 elements it is divided by its largest
/// magnitude and rounded to a multiple of 1/127. Learning rate, decay and clip factor are those of a
/// <see cref="StepState"/>.
/// </summary>
public static class Muon8Bit
{
    /// <summary>The elements that share a largest magnitude.</summary>
    public const int Block = Muon8BitArgs.CodeBlock;

    /// <summary>Returns the number of I32 that hold the codes of this many elements, four in each.</summary>
    public static int Words(long count) => Launch.Blocks(count, sizeof(int));

    /// <summary>Returns the number of blocks of this many elements.</summary>
    public static int Blocks(long count) => Launch.Blocks(count, Block);

    /// <summary>
    /// Updates a matrix and its momentum once: <c>m = momentum · m + g</c>, and the matrix by <c>−η · scale · O</c>,
    /// where O is g + momentum · m after five steps of <see cref="Muon.Orthogonalize(Tensor)"/>; m is rounded after
    /// that.
    /// </summary>
    /// <param name="parameter">[m, n] F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Codes of the momentum: [<see cref="Words"/>] I32; updated.</param>
    /// <param name="most">[<see cref="Blocks"/>] F32, zero before step 1; updated.</param>
    /// <param name="momentum">Share of m that is left in a step.</param>
    /// <param name="scale">Factor of the step, such as 0.2 √max(m, n).</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        Tensor parameter,
        Tensor gradient,
        Tensor m,
        Tensor most,
        float momentum,
        float scale,
        StepState state,
        float rate = 1
    )
    {
        Check.Operand(parameter, DType.F32, [-1, -1]);
        Check.SameAs(gradient, parameter);
        Check.Operand(m, parameter, DType.I32, [Words(parameter.Count)]);
        Check.Operand(most, parameter, DType.F32, [Blocks(parameter.Count)]);
        Run(MatrixBatch.Single(parameter), gradient, m, most, momentum, scale, state, rate);
    }

    /// <summary>
    /// Updates matrices and their momenta once, like
    /// <see cref="Step(Tensor, Tensor, Tensor, Tensor, float, float, StepState, float)"/> for each, in as many launches
    /// as a single one takes.
    /// </summary>
    /// <param name="parameter">b matrices [m, n] F32; updated.</param>
    /// <param name="gradient">As the parameters lie, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Codes of the momenta: [b, <see cref="Words"/>] I32; updated.</param>
    /// <param name="most">[b, <see cref="Blocks"/>] F32, zero before step 1; updated.</param>
    /// <param name="momentum">Share of m that is left in a step.</param>
    /// <param name="scale">Factor of the step, such as 0.2 √max(m, n).</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">Their factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        in MatrixBatch parameter,
        in MatrixBatch gradient,
        Tensor m,
        Tensor most,
        float momentum,
        float scale,
        StepState state,
        float rate = 1
    )
    {
        parameter.Verify(nameof(parameter));
        gradient.VerifyLike(parameter, nameof(gradient));
        Check.Operand(m, parameter.Tensor, DType.I32, [parameter.Count, Words(parameter.MatrixCount)]);
        Check.Operand(most, parameter.Tensor, DType.F32, [parameter.Count, Blocks(parameter.MatrixCount)]);
        Run(parameter, gradient.Tensor, m, most, momentum, scale, state, rate);
    }

    private static void Run(
        in MatrixBatch parameter,
        Tensor gradient,
        Tensor m,
        Tensor most,
        float momentum,
        float scale,
        StepState state,
        float rate
    )
    {
        Check.Rate(rate);
        Check.SameDevice(state.Device, parameter.Tensor, nameof(state));
        if (parameter.MatrixCount == 0)
            return;
        using Tensor directions = Muon.Directions(parameter);
        var args = new Muon8BitArgs
        {
            Gradient = (parameter with { Tensor = gradient }).Pointer,
            M = m.Pointer,
            Most = most.Pointer,
            X = directions.Pointer,
            State = state.Pointer,
            Stride = parameter.Stride,
            Count = parameter.MatrixCount,
            Momentum = momentum,
        };
        int blocks = Launch.RowBlocks(Blocks(args.Count));
        Launch.Batch(Muon8BitArgs.Momenta, state.Device, args, (blocks, parameter.Count));
        Muon.Orthogonalize(directions);
        Muon.Update(parameter, directions, scale, state, rate);
    }
}
