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
    public const int Block = 2048;

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
        Check.Rate(rate);
        Check.Operand(parameter, DType.F32, [-1, -1]);
        Check.SameAs(gradient, parameter);
        Check.Operand(m, parameter, DType.I32, [Words(parameter.Count)]);
        Check.Operand(most, parameter, DType.F32, [Blocks(parameter.Count)]);
        Check.SameDevice(state.Device, parameter, nameof(state));
        if (parameter.Count == 0)
            return;
        using var direction = Tensor.Empty(parameter.Device, parameter.Shape);
        var args = new Muon8BitArgs
        {
            Gradient = gradient.Pointer,
            M = m.Pointer,
            Most = most.Pointer,
            X = direction.Pointer,
            State = state.Pointer,
            Count = parameter.Count,
            Momentum = momentum,
        };
        Muon8BitArgs.Momenta.Launch(state.Device, args, Launch.RowBlocks(Blocks(args.Count)));
        Muon.Orthogonalize(direction);
        var update = new MuonArgs
        {
            Parameter = parameter.Pointer,
            X = direction.Pointer,
            State = state.Pointer,
            Count = parameter.Count,
            Scale = scale,
            Rate = rate,
        };
        MuonArgs.Update.Launch(state.Device, update, Launch.FlatBlocks(update.Count, DType.F32));
    }
}
