namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>apply_update.cu</c>: a finished update of one parameter.</summary>
public struct ApplyUpdateArgs
{
    /// <summary>The kernel <c>apply_update_f32</c>: one thread per 4 elements.</summary>
    public static readonly KernelEntry<ApplyUpdateArgs> Kernel = new(
        "apply_update",
        Launch.FlatThreads,
        "apply_update_f32"
    );

    /// <summary>
    /// Device address of the parameter, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Parameter;

    /// <summary>
    /// Device address of what is added to it, [Count] F32, the learning rate included. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Update;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Number of elements of the parameter.</summary>
    public long Count;

    /// <summary>
    /// Factor of this parameter's learning rate, which its weight decay follows; 1 for the rate in the state.
    /// </summary>
    public float Rate;
}
