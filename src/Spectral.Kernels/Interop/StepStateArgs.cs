namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>step_state.cu</c>: the values that change from one training step to the next.</summary>
public struct StepStateArgs
{
    /// <summary>The kernel <c>step_state_advance</c>: prepares the state for one update; one thread.</summary>
    public static readonly KernelEntry<StepStateArgs> Advance = new("step_state", 32, "step_state_advance");

    /// <summary>
    /// The kernel <c>step_state_next_batch</c>: moves dropout on to the next micro-batch; one thread.
    /// </summary>
    public static readonly KernelEntry<StepStateArgs> NextBatch = new("step_state", 32, "step_state_next_batch");

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes); updated; 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Device address of the global norm of the gradients, one F32; 0 to neither clip nor check it.</summary>
    public ulong Norm;

    /// <summary>Device address of the losses, [Count] F32; 0 if they are not checked.</summary>
    public ulong Losses;

    /// <summary>Number of losses; the step is skipped unless all are finite.</summary>
    public long Count;
}
