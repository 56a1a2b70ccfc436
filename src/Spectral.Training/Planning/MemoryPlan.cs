namespace Spectral.Training.Planning;

/// <summary>
/// The device memory of a training run, in bytes as the pool hands them out, divided by what it is for.
/// </summary>
public sealed record MemoryPlan
{
    /// <summary>
    /// The weights of the model in the compute type, or one rank's part of them. What is gathered from the others
    /// counts where it is needed: in the loss head, workspace, start and evaluation.
    /// </summary>
    public required long Weights { get; init; }

    /// <summary>
    /// The adapter: F32 masters of what trains, frozen factors, and what both become in the compute type.
    /// </summary>
    public required long Adapter { get; init; }

    /// <summary>The gradients of what trains, F32.</summary>
    public required long Gradients { get; init; }

    /// <summary>What the optimizer keeps from step to step, and a moving average if the run has one.</summary>
    public required long Optimizer { get; init; }

    /// <summary>What forward leaves for backward at the end of the last layer, with the batch itself.</summary>
    public required long Activations { get; init; }

    /// <summary>What the output projection and the loss take beyond that.</summary>
    public required long LossHead { get; init; }

    /// <summary>What backward and the update take beyond all of these, at the moment that needs most.</summary>
    public required long Workspace { get; init; }

    /// <summary>
    /// The largest need before the first step, such as for the singular vectors that a method starts from.
    /// </summary>
    public required long Start { get; init; }

    /// <summary>The largest need of an evaluation between two steps; 0: the run evaluates nothing.</summary>
    public required long Evaluation { get; init; }

    /// <summary>The largest need of a step.</summary>
    public long Step => Weights + Adapter + Gradients + Optimizer + Activations + LossHead + Workspace;

    /// <summary>The largest need of the run.</summary>
    public long Peak => Math.Max(Math.Max(Start, Step), Evaluation);
}
