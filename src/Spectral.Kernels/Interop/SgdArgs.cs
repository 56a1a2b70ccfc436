namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>sgd.cu</c>: one step of gradient descent with momentum for one parameter.</summary>
public struct SgdArgs
{
    /// <summary>The kernel <c>sgd_f32</c>: updates a parameter and its momentum; one thread per 4 elements.</summary>
    public static readonly KernelEntry<SgdArgs> Kernel = new("sgd", Launch.FlatThreads, "sgd_f32");

    /// <summary>
    /// Device address of the parameter, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Parameter;

    /// <summary>
    /// Device address of its gradient, [Count] F32; read: the clip factor in the state is applied on the way. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>
    /// Device address of the sum of past gradients, [Count] F32; updated. 0: no momentum. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong M;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Number of elements of the parameter.</summary>
    public long Count;

    /// <summary>Factor of <see cref="M"/> before the gradient is added.</summary>
    public float Momentum;

    /// <summary>
    /// Factor of this parameter's learning rate, and with it of its weight decay; 1 for the rate in the state.
    /// </summary>
    public float Rate;
}
