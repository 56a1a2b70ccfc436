namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>random_search.cu</c>: a step along weighted random directions.</summary>
public struct RandomStepArgs
{
    /// <summary>The kernel <c>random_step_f32</c>: one thread per 4 elements.</summary>
    public static readonly KernelEntry<RandomStepArgs> Kernel = new(
        "random_search",
        Launch.FlatThreads,
        "random_step_f32"
    );

    /// <summary>
    /// Device address of the parameter, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Parameter;

    /// <summary>Device address of the factor of each direction, [Members] F32.</summary>
    public ulong Weights;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Number of elements of the parameter.</summary>
    public long Count;

    /// <summary>Number of directions in a step.</summary>
    public int Members;

    /// <summary>Number of the parameter in its set, as when it was moved.</summary>
    public uint Tensor;

    /// <summary>
    /// Factor of this parameter's learning rate, which its weight decay follows; 1 for the rate in the state.
    /// </summary>
    public float Rate;
}
