using System.Runtime.InteropServices;

namespace Spectral.Kernels;

/// <summary>Arguments of <c>optimizer_state</c> in <c>adamw.cu</c>; a null norm means no clipping and no check.</summary>
[KernelArgs("adamw", "optimizer_state")]
public struct OptimizerStateArgs
{
    /// <summary>Device address.</summary>
    public ulong State, Norm;
}

/// <summary>Arguments of <c>adamw_f32</c> in <c>adamw.cu</c>.</summary>
[KernelArgs("adamw", "adamw_f32")]
public struct AdamWArgs
{
    /// <summary>Device address.</summary>
    public ulong Parameter, Gradient, M, V, State;
    /// <summary>Size.</summary>
    public long Count;
}

/// <summary>What the host decides of an AdamW step.</summary>
/// <param name="LearningRate">Step size η.</param>
/// <param name="Beta1">Decay of the mean of gradients.</param>
/// <param name="Beta2">Decay of the mean of squared gradients.</param>
/// <param name="Epsilon">Added to the root, outside of it.</param>
/// <param name="WeightDecay">Decoupled decay ω.</param>
/// <param name="MaxNorm">Global norm that gradients are clipped to; 0 is no clipping.</param>
public readonly record struct AdamWSettings(double LearningRate, double Beta1 = 0.9, double Beta2 = 0.999, double Epsilon = 1e-8, double WeightDecay = 0.01, double MaxNorm = 0);

/// <summary>
/// AdamW as PyTorch computes it (Loshchilov and Hutter 2019): decoupled decay, bias correction, ε outside the root. What changes from step to
/// step lives in a device tensor: <see cref="Configure"/> when a setting changes, <see cref="Advance"/> once per step, <see cref="Step"/> per
/// parameter.
/// </summary>
public static class AdamW
{
    // F64: settings 0-5, steps made 6, last norm 7; the rest is what the kernel derives from them.
    private const int StateDoubles = 16, StepIndex = 6, NormIndex = 7;

    /// <summary>A state tensor for step 1: [16] F64, all zero. Dispose it after use.</summary>
    public static Tensor CreateState(Device device) => Tensor.Zeros(device, StateDoubles, DType.F64);

    /// <summary>Writes the settings; they hold from the next <see cref="Advance"/> on.</summary>
    /// <param name="state">From <see cref="CreateState"/>.</param>
    /// <param name="settings">Learning rate and the rest.</param>
    /// <exception cref="ArgumentException">The state does not fit, or a setting is out of range.</exception>
    public static void Configure(Tensor state, in AdamWSettings settings)
    {
        VerifyState(state);
        if (!(settings.Beta1 is >= 0 and < 1 && settings.Beta2 is >= 0 and < 1)) throw new ArgumentException($"beta1 is {settings.Beta1} and beta2 {settings.Beta2}, expected 0 or more and below 1", nameof(settings));
        if (!(double.IsFinite(settings.LearningRate) && double.IsFinite(settings.WeightDecay) && settings.Epsilon >= 0 && settings.MaxNorm >= 0))
            throw new ArgumentException($"{settings}: expected a finite learning rate and weight decay, epsilon and max norm of 0 or more", nameof(settings));
        Span<double> values = [settings.LearningRate, settings.Beta1, settings.Beta2, settings.Epsilon, settings.WeightDecay, settings.MaxNorm];
        Write(state, 0, values);
    }

    /// <summary>
    /// Counts the step and derives bias corrections and clip factor <c>min(1, maxNorm / (norm + 1e-6))</c>. If the norm is not finite the
    /// step is skipped: neither the count nor, in <see cref="Step"/>, any parameter changes.
    /// </summary>
    /// <param name="state">From <see cref="CreateState"/>, configured.</param>
    /// <param name="norm">[1] F32, global norm of the gradients; null: no clipping and no check.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Advance(Tensor state, Tensor? norm)
    {
        VerifyState(state);
        if (norm is not null)
        {
            Check.Shape(norm, nameof(norm), 1);
            Check.DType(norm, nameof(norm), DType.F32);
            Check.SameDevice(state.Device, norm, nameof(norm));
        }
        var args = new OptimizerStateArgs { State = state.Pointer, Norm = norm?.Pointer ?? 0 };
        state.Device.Kernel("adamw", "optimizer_state").Launch(args, 1, 32);
    }

    /// <summary>One update of a parameter and its two moments, with the settings and clip factor in the state.</summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="gradient">Shape of the parameter, F32; clipped on the fly, not changed.</param>
    /// <param name="m">Shape of the parameter, F32, zero before step 1; updated.</param>
    /// <param name="v">Shape of the parameter, F32, zero before step 1; updated.</param>
    /// <param name="state">Advanced for this step.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Step(Tensor parameter, Tensor gradient, Tensor m, Tensor v, Tensor state)
    {
        VerifyState(state);
        Check.DType(parameter, nameof(parameter), DType.F32);
        Check.SameDevice(state.Device, parameter, nameof(parameter));
        SameAs(gradient, nameof(gradient));
        SameAs(m, nameof(m));
        SameAs(v, nameof(v));
        if (parameter.Count == 0) return;
        var args = new AdamWArgs
        {
            Parameter = parameter.Pointer, Gradient = gradient.Pointer, M = m.Pointer, V = v.Pointer, State = state.Pointer, Count = parameter.Count,
        };
        state.Device.Kernel("adamw", "adamw_f32").Launch(args, Launch.FlatBlocks(args.Count, DType.F32), Launch.FlatThreads);

        void SameAs(Tensor tensor, string name)
        {
            Check.SameShape(parameter, nameof(parameter), tensor, name);
            Check.DType(tensor, name, DType.F32);
            Check.SameDevice(state.Device, tensor, name);
        }
    }

    /// <summary>Steps made so far and the norm given to the last <see cref="Advance"/>, read back from the device.</summary>
    /// <param name="state">From <see cref="CreateState"/>.</param>
    public static (long Steps, double Norm) Read(Tensor state)
    {
        VerifyState(state);
        double[] values = state.ToDoubleArray();
        return ((long)values[StepIndex], values[NormIndex]);
    }

    /// <summary>Sets the number of steps made so far, to go on with a saved run.</summary>
    /// <param name="state">From <see cref="CreateState"/>.</param>
    /// <param name="steps">0 or more.</param>
    /// <exception cref="ArgumentException">The state does not fit, or the number is negative.</exception>
    public static void SetSteps(Tensor state, long steps)
    {
        VerifyState(state);
        if (steps < 0) throw new ArgumentException($"steps is {steps}, expected 0 or more", nameof(steps));
        Write(state, StepIndex, [steps]);
    }

    private static void Write(Tensor state, int index, ReadOnlySpan<double> values)
    {
        using Tensor target = state.Rows(index, values.Length);
        target.CopyFrom(MemoryMarshal.AsBytes(values));
    }

    private static void VerifyState(Tensor state)
    {
        Check.Shape(state, nameof(state), StateDoubles);
        Check.DType(state, nameof(state), DType.F64);
        Check.SameDevice(state.Device, state, nameof(state));
    }
}
