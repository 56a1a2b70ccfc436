using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Moves parameters along random directions, and updates them by the losses that were measured there: MeZO (Malladi et
/// al. 2023) and evolution strategies (Qiu et al. 2025). Directions are standard normal numbers that depend on the seed
/// of the <see cref="StepState"/>, its number of updates, the direction's number and the parameter's alone; they are
/// made where they are needed and never stored.
/// </summary>
public static class RandomSearch
{
    /// <summary>Computes <c>y = x + scale · z</c> with a random direction z of the coming step.</summary>
    /// <param name="x">Any shape, F32.</param>
    /// <param name="scale">Factor of the direction.</param>
    /// <param name="member">Number of the direction within the step, 0 or more.</param>
    /// <param name="parameter">Number of the parameter in its set, 0 or more.</param>
    /// <param name="state">Not advanced yet for the step.</param>
    /// <param name="y">Shape of x, F32; written; may be x.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Perturb(Tensor x, float scale, int member, int parameter, StepState state, Tensor y)
    {
        Check.Operand(x, DType.F32);
        Check.SameAs(y, x);
        Check.SameDevice(state.Device, x, nameof(state));
        if (x.Count == 0)
            return;
        var args = new RandomPerturbArgs
        {
            X = x.Pointer,
            Y = y.Pointer,
            State = state.Pointer,
            Count = x.Count,
            Scale = scale,
            Member = checked((uint)member),
            Tensor = checked((uint)parameter),
        };
        RandomPerturbArgs.Kernel.Launch(state.Device, args, Launch.FlatBlocks(args.Count, DType.F32));
    }

    /// <summary>
    /// Computes MeZO's factor of one direction, the loss's slope along it with the opposite sign:
    /// <c>−(loss₀ − loss₁) / (2 size)</c>.
    /// </summary>
    /// <param name="losses">
    /// [2, batches] F32: sums of token losses at x + size·z, then at x − size·z. The state's loss scale makes means of
    /// them.
    /// </param>
    /// <param name="size">How far the parameters were moved.</param>
    /// <param name="state">Configured for the step.</param>
    /// <param name="weights">[1] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void TwoPointWeight(Tensor losses, float size, StepState state, Tensor weights)
    {
        Check.Operand(losses, DType.F32, [2, -1]);
        Check.Operand(weights, losses, DType.F32, [1]);
        Weigh(RandomWeightsArgs.TwoPoint, losses, size, state, weights);
    }

    /// <summary>
    /// Computes the factors of several directions, <c>r̃ / (members · size)</c>: the negative losses, standardised to
    /// mean 0 and deviation 1. They are all 0 where the losses are all the same.
    /// </summary>
    /// <param name="losses">[members, batches] F32: sums of token losses at x + size·z of each direction.</param>
    /// <param name="size">How far the parameters were moved.</param>
    /// <param name="state">Configured for the step.</param>
    /// <param name="weights">[members] F32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void PopulationWeights(Tensor losses, float size, StepState state, Tensor weights)
    {
        Check.Operand(losses, DType.F32, [-1, -1]);
        Check.Operand(weights, losses, DType.F32, [losses.Dim(0)]);
        Weigh(RandomWeightsArgs.Population, losses, size, state, weights);
    }

    /// <summary>
    /// Updates a parameter: <c>p = p (1 − rate η ω) + rate η Σ weights_m z_m</c>, with the directions of the step that
    /// the state was advanced for.
    /// </summary>
    /// <param name="parameter">Any shape, F32; updated.</param>
    /// <param name="weights">[members] F32, the factor of each direction.</param>
    /// <param name="index">Number of the parameter in its set, as in <see cref="Perturb"/>.</param>
    /// <param name="state">Advanced for this step, and not configured anew since.</param>
    /// <param name="rate">This parameter's factor of the learning rate, above 0; weight decay follows it.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit, or the factor is not a finite number
    /// above 0.</exception>
    public static void Step(Tensor parameter, Tensor weights, int index, StepState state, float rate = 1)
    {
        Check.Rate(rate);
        Check.Operand(parameter, DType.F32);
        Check.Operand(weights, parameter, DType.F32, [-1]);
        Check.SameDevice(state.Device, parameter, nameof(state));
        if (parameter.Count == 0)
            return;
        var args = new RandomStepArgs
        {
            Parameter = parameter.Pointer,
            Weights = weights.Pointer,
            State = state.Pointer,
            Count = parameter.Count,
            Members = weights.Dim(0),
            Tensor = checked((uint)index),
            Rate = rate,
        };
        RandomStepArgs.Kernel.Launch(state.Device, args, Launch.FlatBlocks(args.Count, DType.F32));
    }

    private static void Weigh(
        KernelEntry<RandomWeightsArgs> kernel,
        Tensor losses,
        float size,
        StepState state,
        Tensor weights
    )
    {
        if (!(float.IsFinite(size) && size > 0))
            throw new ArgumentException($"size is {size}, expected a finite number above 0", nameof(size));
        Check.SameDevice(state.Device, losses, nameof(state));
        var args = new RandomWeightsArgs
        {
            Losses = losses.Pointer,
            State = state.Pointer,
            Weights = weights.Pointer,
            Members = weights.Dim(0),
            Batches = losses.Dim(1),
            Size = size,
        };
        kernel.Launch(state.Device, args, 1);
    }
}
