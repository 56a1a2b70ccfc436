using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Gradient descent with momentum (Polyak 1964) as PyTorch computes it, without dampening and Nesterov, and with
/// decoupled weight decay. Learning rate, decay and clip factor are those of a <see cref="StepState"/>.
/// </summary>
public static class Sgd
{
    /// <summary>
    /// Updates a parameter and its momentum once: <c>m = momentum · m + g</c>, then the parameter by <c>−η m</c>.
    /// </summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Shape of the parameter, F32, zero before step 1; updated. Null: no momentum.</param>
    /// <param name="momentum">Share of m that is left in a step.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(
        Tensor parameter,
        Tensor gradient,
        Tensor? m,
        float momentum,
        StepState state,
        float rate = 1
    )
    {
        Check.Rate(rate);
        Check.Operand(parameter, DType.F32);
        Check.SameAs(gradient, parameter);
        if (m is not null)
            Check.SameAs(m, parameter);
        Check.SameDevice(state.Device, parameter, nameof(state));
        if (parameter.Count == 0)
            return;
        var args = new SgdArgs
        {
            Parameter = parameter.Pointer,
            Gradient = gradient.Pointer,
            M = m?.Pointer ?? 0,
            State = state.Pointer,
            Count = parameter.Count,
            Momentum = momentum,
            Rate = rate,
        };
        SgdArgs.Kernel.Launch(state.Device, args, Launch.FlatBlocks(args.Count, DType.F32));
    }
}
