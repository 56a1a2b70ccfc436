namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the forward kernel in <c>soft_cap.cu</c>: numbers brought into a range by tanh.</summary>
public struct SoftCapForwardArgs
{
    /// <summary>The kernel <c>soft_cap_forward</c>; one thread per 16-byte vector.</summary>
    public static readonly KernelEntry<SoftCapForwardArgs> Kernel = new(
        "soft_cap",
        Launch.FlatThreads,
        "soft_cap_forward"
    );

    /// <summary>Device address of x, [Count] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>
    /// Device address of y, [Count] F32; written; may be <see cref="X"/>. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of elements of the array.</summary>
    public long Count;

    /// <summary>Bound of the magnitude of y, above 0.</summary>
    public float Cap;
}

/// <summary>Arguments of the backward kernels in <c>soft_cap.cu</c>: the gradient of what was capped.</summary>
public struct SoftCapBackwardArgs
{
    /// <summary>
    /// The kernels by type of the gradient, <c>soft_cap_backward_f32</c> and <c>soft_cap_backward_bf16</c>; one thread
    /// per 16-byte vector of it.
    /// </summary>
    public static readonly KernelEntry<SoftCapBackwardArgs> Kernel = new(
        "soft_cap",
        Launch.FlatThreads,
        "soft_cap_backward_f32",
        "soft_cap_backward_bf16"
    );

    /// <summary>
    /// Device address of y from the forward pass, [Count] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>
    /// Device address of its gradient, [Count], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the gradient of x, [Count], element type of the entry; written; may be <see cref="Dy"/>.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dx;

    /// <summary>Number of elements of the array.</summary>
    public long Count;

    /// <summary>Bound of the magnitude of y, above 0.</summary>
    public float Cap;
}
