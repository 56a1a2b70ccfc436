namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>elementwise_map.cu</c>: a function of each element, or its adjoint.</summary>
public struct ElementwiseMapArgs
{
    /// <summary>
    /// The kernels that apply a function, in the order of <c>MapFunction</c>; one thread per 4 elements.
    /// </summary>
    public static readonly KernelEntry<ElementwiseMapArgs> Forward = new(
        "elementwise_map",
        Launch.FlatThreads,
        "elementwise_map_reciprocal_forward",
        "elementwise_map_sqrt_forward",
        "elementwise_map_exp_forward",
        "elementwise_map_max_forward",
        "elementwise_map_square_forward",
        "elementwise_map_sign_forward",
        "elementwise_map_cos_forward",
        "elementwise_map_sin_forward"
    );

    /// <summary>
    /// The kernels that multiply dy by a function's derivative at x, in the order of <c>MapFunction</c>; one thread per
    /// 4 elements.
    /// </summary>
    public static readonly KernelEntry<ElementwiseMapArgs> Backward = new(
        "elementwise_map",
        Launch.FlatThreads,
        "elementwise_map_reciprocal_backward",
        "elementwise_map_sqrt_backward",
        "elementwise_map_exp_backward",
        "elementwise_map_max_backward",
        "elementwise_map_square_backward",
        "elementwise_map_sign_backward",
        "elementwise_map_cos_backward",
        "elementwise_map_sin_backward"
    );

    /// <summary>Device address of x, [Count] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>
    /// Device address of dy, [Count] F32; 0 in the forward pass. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the result, [Count] F32: y, or dx in the backward pass; written or added to; y may be x, and
    /// dx may be dy. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of elements of x.</summary>
    public long Count;

    /// <summary>Lower bound of the functions that have one: sqrt and max.</summary>
    public float Floor;

    /// <summary>1 to add to the result, 0 to overwrite.</summary>
    public int Accumulate;
}
