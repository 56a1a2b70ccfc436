namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>adafactor.cu</c>: direction and length of a step of Adafactor for one parameter.</summary>
public struct AdafactorArgs
{
    /// <summary>
    /// The kernel <c>adafactor_direction_f32</c>: divides the gradient by the root of its second moments; one thread
    /// per 4 elements.
    /// </summary>
    public static readonly KernelEntry<AdafactorArgs> Direction = new(
        "adafactor",
        Launch.FlatThreads,
        "adafactor_direction_f32"
    );

    /// <summary>The kernel <c>adafactor_update_f32</c>: updates the parameter; one thread per 4 elements.</summary>
    public static readonly KernelEntry<AdafactorArgs> Update = new(
        "adafactor",
        Launch.FlatThreads,
        "adafactor_update_f32"
    );

    /// <summary>
    /// Device address of the parameter, [Count] F32; updated by <see cref="Update"/> alone. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Parameter;

    /// <summary>
    /// Device address of its gradient, [Count] F32; read by <see cref="Direction"/> alone, which applies the clip
    /// factor in the state. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>Device address of the means of squares of the rows, F32; 0 with <see cref="V"/>.</summary>
    public ulong Rows;

    /// <summary>Device address of the means of squares of the columns, [Width] F32; 0 with <see cref="V"/>.</summary>
    public ulong Columns;

    /// <summary>Device address of the sum of <see cref="Rows"/>, one F32; 0 with <see cref="V"/>.</summary>
    public ulong RowSum;

    /// <summary>
    /// Device address of second moments of their own, [Count] F32; updated. 0: those of rows and columns. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong V;

    /// <summary>
    /// Device address of the direction of the step, [Count] F32: written, then read. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong X;

    /// <summary>Device address of the norm of the direction, one F32; read by <see cref="Update"/> alone.</summary>
    public ulong Norm;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Number of elements of the parameter.</summary>
    public long Count;

    /// <summary>Number of elements of a row.</summary>
    public long Width;

    /// <summary>Power of the step's number that is the share of this step in a moment, negated.</summary>
    public float Power;

    /// <summary>Largest root mean square of the direction; a longer one is scaled down to it.</summary>
    public float Threshold;

    /// <summary>
    /// Factor of this parameter's learning rate, and with it of its weight decay; 1 for the rate in the state.
    /// </summary>
    public float Rate;
}
