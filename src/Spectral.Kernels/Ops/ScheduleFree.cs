using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Schedule-free AdamW (Defazio et al., "The Road Less Scheduled", 2024): gradients are taken at y, between a fast
/// iterate z and its running average x, which is what to evaluate. Settings and clip factor are those of a
/// <see cref="StepState"/>; β₁ is the share of x in y.
/// </summary>
public static class ScheduleFree
{
    /// <summary>The number of weights that <see cref="Advance"/> keeps from step to step.</summary>
    public const int Weights = 2;

    /// <summary>The number of factors that <see cref="Advance"/> computes for a step.</summary>
    public const int Factors = 4;

    /// <summary>
    /// Gives the step its share in the average: the square of the largest learning rate so far, divided by the sum of
    /// these squares. Call it once per step, before <see cref="Step"/>.
    /// </summary>
    /// <param name="weights">[2] F64, zero before step 1; updated.</param>
    /// <param name="factors">[4] F32; overwritten, for <see cref="Step"/>. Unchanged if the step is skipped.</param>
    /// <param name="state">Advanced for this step.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Advance(Tensor weights, Tensor factors, StepState state)
    {
        Check.Operand(weights, DType.F64, [Weights]);
        Check.Operand(factors, weights, DType.F32, [Factors]);
        Check.SameDevice(state.Device, weights, nameof(state));
        var args = new ScheduleFreeArgs
        {
            Weights = weights.Pointer,
            Factors = factors.Pointer,
            State = state.Pointer,
        };
        ScheduleFreeArgs.Advance.Launch(state.Device, args, 1);
    }

    /// <summary>Updates a parameter y, its fast iterate z and its second moment once.</summary>
    /// <param name="y">Any shape, F32; updated.</param>
    /// <param name="gradient">Shape of y, F32; clipped on the fly, not changed.</param>
    /// <param name="z">Shape of y, F32; updated. Step 1 sets it to y first.</param>
    /// <param name="v">Shape of y, F32, zero before step 1; updated.</param>
    /// <param name="factors">[4] F32, which <see cref="Advance"/> computed for this step.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        Tensor y,
        Tensor gradient,
        Tensor z,
        Tensor v,
        Tensor factors,
        StepState state,
        float rate = 1
    )
    {
        Check.Rate(rate);
        Check.Operand(y, DType.F32);
        Check.SameAs(gradient, y);
        Check.SameAs(z, y);
        Check.SameAs(v, y);
        Check.Operand(factors, y, DType.F32, [Factors]);
        Check.SameDevice(state.Device, y, nameof(state));
        if (y.Count == 0)
            return;
        var args = new ScheduleFreeArgs
        {
            Y = y.Pointer,
            Gradient = gradient.Pointer,
            Z = z.Pointer,
            V = v.Pointer,
            Factors = factors.Pointer,
            State = state.Pointer,
            Count = y.Count,
            Rate = rate,
        };
        ScheduleFreeArgs.Kernel.Launch(state.Device, args, Launch.FlatBlocks(args.Count, DType.F32));
    }
}
