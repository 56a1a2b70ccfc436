namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>step_state.cu</c>: the numbers that change from step to step.</summary>
public struct StepStateArgs
{
    /// <summary>Describes <c>step_state_advance</c>.</summary>
    public static readonly KernelEntry<StepStateArgs> Advance = new("step_state", 32, "step_state_advance");

    /// <summary>Describes <c>step_state_next_batch</c>.</summary>
    public static readonly KernelEntry<StepStateArgs> NextBatch = new("step_state", 32, "step_state_next_batch");

    /// <summary>Device address of one step state (<c>device/step_state.cuh</c>); updated; 8-byte aligned.</summary>
    public ulong State;

    /// <summary>Device address of the gradients' global norm, one F32; 0: neither clipped nor checked.</summary>
    public ulong Norm;

    /// <summary>Device address of the losses, [Count] F32; 0: not checked.</summary>
    public ulong Losses;

    /// <summary>Losses that must be finite for the step to count.</summary>
    public long Count;
}
