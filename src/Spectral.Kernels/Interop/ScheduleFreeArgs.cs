namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>schedule_free.cu</c>: one step of schedule-free AdamW for one parameter.</summary>
public struct ScheduleFreeArgs
{
    /// <summary>
    /// The kernel <c>schedule_free_advance</c>: updates the weights of the average and the factors of the step, once
    /// per step; one thread. It uses <see cref="Weights"/>, <see cref="Factors"/> and <see cref="State"/> alone.
    /// </summary>
    public static readonly KernelEntry<ScheduleFreeArgs> Advance = new("schedule_free", 32, "schedule_free_advance");

    /// <summary>
    /// The kernel <c>schedule_free_f32</c>: updates a parameter and its state; one thread per 4 elements.
    /// </summary>
    public static readonly KernelEntry<ScheduleFreeArgs> Kernel = new(
        "schedule_free",
        Launch.FlatThreads,
        "schedule_free_f32"
    );

    /// <summary>
    /// Device address of the parameter, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>
    /// Device address of its gradient, [Count] F32; read: the clip factor in the state is applied on the way. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>
    /// Device address of the fast iterate, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Z;

    /// <summary>
    /// Device address of the running mean of the squared gradients, [Count] F32; updated. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong V;

    /// <summary>
    /// Device address of two F64: the largest learning rate so far and the sum of its squares; 8-byte aligned.
    /// </summary>
    public ulong Weights;

    /// <summary>
    /// Device address of four F32, which the first kernel writes and the second reads: the share of this step in the
    /// average, the factor on the step of y, the learning rate and the weight decay.
    /// </summary>
    public ulong Factors;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Number of elements of the parameter.</summary>
    public long Count;

    /// <summary>Factor of this parameter's learning rate; 1 for the rate in the state.</summary>
    public float Rate;
}
