namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>adamw.cu</c>: one AdamW update of a parameter.</summary>
public struct AdamWArgs
{
    /// <summary>Describes <c>adamw_f32</c>.</summary>
    public static readonly KernelEntry<AdamWArgs> Kernel = new("adamw", Launch.FlatThreads, "adamw_f32");

    /// <summary>
    /// Device address of the parameter, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Parameter;

    /// <summary>
    /// Device address of its gradient, [Count] F32; read, not clipped in place. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>
    /// Device address of the mean of gradients, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong M;

    /// <summary>
    /// Device address of the mean of squared gradients, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong V;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>) that was advanced for this step; 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Elements of the parameter.</summary>
    public long Count;

    /// <summary>
    /// The parameter's own factor of the learning rate and of the weight decay that follows it; 1 is the state's rate.
    /// </summary>
    public float Rate;
}
