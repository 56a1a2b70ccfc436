using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// AdamW whose moments are codes of 8 bits (Dettmers et al., "8-bit Optimizers via Block-wise Quantization", 2021). In
/// blocks of 256 elements each moment is divided by its largest magnitude and rounded to the nearest dynamic code, as
/// bitsandbytes stores it; a step is that of <see cref="AdamW"/>, on moments before they are rounded again.
/// </summary>
public static class AdamW8Bit
{
    /// <summary>The elements that share a largest magnitude.</summary>
    public const int Block = AdamW8BitArgs.CodeBlock;

    private const int LanesPerBlock = 8; // kCodeLanes

    /// <summary>Returns the number of I32 that hold the codes of this many elements, four in each.</summary>
    public static int Words(long count) => Launch.Blocks(count, sizeof(int));

    /// <summary>Returns the number of blocks of this many elements.</summary>
    public static int Blocks(long count) => Launch.Blocks(count, Block);

    /// <summary>
    /// Updates a parameter and its two moments once, with the settings and the clip factor of the state.
    /// </summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Codes of the first moment, signed: [<see cref="Words"/>] I32; updated.</param>
    /// <param name="mMost">[<see cref="Blocks"/>] F32, zero before step 1; updated.</param>
    /// <param name="v">Codes of the second moment, without a sign: [<see cref="Words"/>] I32; updated.</param>
    /// <param name="vMost">[<see cref="Blocks"/>] F32, zero before step 1; updated.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        Tensor parameter,
        Tensor gradient,
        Tensor m,
        Tensor mMost,
        Tensor v,
        Tensor vMost,
        StepState state,
        float rate = 1
    )
    {
        Check.Operand(parameter, DType.F32);
        Check.SameAs(gradient, parameter);
        long count = parameter.Count;
        MatrixBatch single = new(parameter, 0, 1, checked((int)count));
        Check.Operand(m, parameter, DType.I32, [Words(count)]);
        Check.Operand(mMost, parameter, DType.F32, [Blocks(count)]);
        Check.Operand(v, parameter, DType.I32, [Words(count)]);
        Check.Operand(vMost, parameter, DType.F32, [Blocks(count)]);
        Run(single, gradient, m, mMost, v, vMost, state, rate);
    }

    /// <summary>
    /// Updates matrices and their moments once, like
    /// <see cref="Step(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, StepState, float)"/> for each, in one launch.
    /// </summary>
    /// <param name="parameter">b matrices, F32; updated.</param>
    /// <param name="gradient">As the parameters lie, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Codes of the first moments, signed: [b, <see cref="Words"/>] I32; updated.</param>
    /// <param name="mMost">[b, <see cref="Blocks"/>] F32, zero before step 1; updated.</param>
    /// <param name="v">Codes of the second moments, without a sign: [b, <see cref="Words"/>] I32; updated.</param>
    /// <param name="vMost">[b, <see cref="Blocks"/>] F32, zero before step 1; updated.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">Their factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        in MatrixBatch parameter,
        in MatrixBatch gradient,
        Tensor m,
        Tensor mMost,
        Tensor v,
        Tensor vMost,
        StepState state,
        float rate = 1
    )
    {
        parameter.Verify(nameof(parameter));
        gradient.VerifyLike(parameter, nameof(gradient));
        (int count, long size) = (parameter.Count, parameter.MatrixCount);
        Check.Operand(m, parameter.Tensor, DType.I32, [count, Words(size)]);
        Check.Operand(mMost, parameter.Tensor, DType.F32, [count, Blocks(size)]);
        Check.Operand(v, parameter.Tensor, DType.I32, [count, Words(size)]);
        Check.Operand(vMost, parameter.Tensor, DType.F32, [count, Blocks(size)]);
        Run(parameter, gradient.Tensor, m, mMost, v, vMost, state, rate);
    }

    private static void Run(
        in MatrixBatch parameter,
        Tensor gradient,
        Tensor m,
        Tensor mMost,
        Tensor v,
        Tensor vMost,
        StepState state,
        float rate
    )
    {
        Check.Rate(rate);
        Check.SameDevice(state.Device, parameter.Tensor, nameof(state));
        if (parameter.MatrixCount == 0)
            return;
        var args = new AdamW8BitArgs
        {
            Parameter = parameter.Pointer,
            Gradient = (parameter with { Tensor = gradient }).Pointer,
            M = m.Pointer,
            MMost = mMost.Pointer,
            V = v.Pointer,
            VMost = vMost.Pointer,
            State = state.Pointer,
            Stride = parameter.Stride,
            Count = parameter.MatrixCount,
            Rate = rate,
        };
        int blocks = Launch.RowBlocks(Blocks(args.Count), LanesPerBlock);
        Launch.Batch(AdamW8BitArgs.Kernel, state.Device, args, (blocks, parameter.Count));
    }
}
