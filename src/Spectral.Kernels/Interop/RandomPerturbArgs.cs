namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>random_search.cu</c>: values moved along a random direction.</summary>
public struct RandomPerturbArgs
{
    /// <summary>The kernel <c>random_perturb_f32</c>: one thread per 4 elements.</summary>
    public static readonly KernelEntry<RandomPerturbArgs> Kernel = new(
        "random_search",
        Launch.FlatThreads,
        "random_perturb_f32"
    );

    /// <summary>Device address of the values, [Count] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>
    /// Device address of the changed values, [Count] F32; written; may be X. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) before it is advanced for this step;
    /// 8-byte aligned. It has the seed and the number of the step.
    /// </summary>
    public ulong State;

    /// <summary>Number of elements to perturb.</summary>
    public long Count;

    /// <summary>Factor of the random direction.</summary>
    public float Scale;

    /// <summary>Number of the direction within the step.</summary>
    public uint Member;

    /// <summary>Number of the parameter in its set; each has random numbers of its own.</summary>
    public uint Tensor;
}
