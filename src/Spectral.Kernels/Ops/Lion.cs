using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Lion (Chen et al., "Symbolic Discovery of Optimization Algorithms", 2023): every value moves by the learning rate,
/// in the direction of a sign. Settings and clip factor are those of a <see cref="StepState"/>.
/// </summary>
public static class Lion
{
    /// <summary>
    /// Updates a parameter and its momentum once: the parameter by <c>−η sign(β₁ m + (1 − β₁) g)</c>, then
    /// <c>m = β₂ m + (1 − β₂) g</c>. The sign of 0 and of NaN is 0.
    /// </summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Shape of the parameter, F32, zero before step 1; updated.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(Tensor parameter, Tensor gradient, Tensor m, StepState state, float rate = 1)
    {
        Check.Rate(rate);
        Check.Operand(parameter, DType.F32);
        Check.SameAs(gradient, parameter);
        Check.SameAs(m, parameter);
        Check.SameDevice(state.Device, parameter, nameof(state));
        if (parameter.Count == 0)
            return;
        var args = new LionArgs
        {
            Parameter = parameter.Pointer,
            Gradient = gradient.Pointer,
            M = m.Pointer,
            State = state.Pointer,
            Count = parameter.Count,
            Rate = rate,
        };
        LionArgs.Kernel.Launch(state.Device, args, Launch.FlatBlocks(args.Count, DType.F32));
    }
}
