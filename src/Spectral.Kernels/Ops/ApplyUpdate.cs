using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Adds an update that was formed apart from its parameter, with the decoupled weight decay of a
/// <see cref="StepState"/>, unless that says that the step is skipped.
/// </summary>
public static class ApplyUpdate
{
    /// <summary>Computes <c>parameter = parameter (1 − rate η ω) + update</c>.</summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="update">Shape of the parameter, F32, with the learning rate included.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; only weight decay reads it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(Tensor parameter, Tensor update, StepState state, float rate = 1)
    {
        Check.Rate(rate);
        Check.Operand(parameter, DType.F32);
        Check.SameAs(update, parameter);
        Check.SameDevice(state.Device, parameter, nameof(state));
        if (parameter.Count == 0)
            return;
        var args = new ApplyUpdateArgs
        {
            Parameter = parameter.Pointer,
            Update = update.Pointer,
            State = state.Pointer,
            Count = parameter.Count,
            Rate = rate,
        };
        ApplyUpdateArgs.Kernel.Launch(state.Device, args, Launch.FlatBlocks(args.Count, DType.F32));
    }
}
