using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// AdamW as PyTorch computes it (Loshchilov and Hutter 2019): decoupled decay, bias correction, ε outside the root.
/// Settings, bias corrections and clip factor are those of a <see cref="StepState"/>.
/// </summary>
/// <example>
/// <code>
/// using Tensor mean = Tensor.Zeros(device, weight.Shape);
/// using Tensor meanOfSquares = Tensor.Zeros(device, weight.Shape);
/// using StepState state = new(device);
/// for (int step = 1; step &lt;= 100; step++)
/// {
///     // … compute dWeight
///     state.Configure(new AdamWSettings(LearningRate: 1e-3));
///     state.Advance(norm: null); // neither clips nor checks
///     AdamW.Step(weight, dWeight, mean, meanOfSquares, state);
/// }
/// </code>
/// </example>
public static class AdamW
{
    /// <summary>
    /// Updates a parameter and its two moments once, with the settings and the clip factor of the state.
    /// </summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Shape of the parameter, F32, zero before step 1; updated.</param>
    /// <param name="v">Shape of the parameter, F32, zero before step 1; updated.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it. 1 changes no
    /// bit.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(Tensor parameter, Tensor gradient, Tensor m, Tensor v, StepState state, float rate = 1)
    {
        Check.Rate(rate);
        Check.Operand(parameter, DType.F32);
        Check.SameAs(gradient, parameter);
        Check.SameAs(m, parameter);
        Check.SameAs(v, parameter);
        Check.SameDevice(state.Device, parameter, nameof(state));
        if (parameter.Count == 0)
            return;
        var args = new AdamWArgs
        {
            Parameter = parameter.Pointer,
            Gradient = gradient.Pointer,
            M = m.Pointer,
            V = v.Pointer,
            State = state.Pointer,
            Count = parameter.Count,
            Rate = rate,
        };
        AdamWArgs.Kernel.Launch(state.Device, args, Launch.FlatBlocks(args.Count, DType.F32));
    }
}
