namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>rectifier.cu</c>: ReLU in place, and its adjoint.</summary>
public struct RectifierArgs
{
    /// <summary>Describes <c>rectify_f32</c> and <c>rectify_bf16</c>.</summary>
    public static readonly KernelEntry<RectifierArgs> Forward = new(
        "rectifier",
        Launch.FlatThreads,
        "rectify_f32",
        "rectify_bf16"
    );

    /// <summary>Describes <c>rectify_backward_f32</c> and <c>rectify_backward_bf16</c>.</summary>
    public static readonly KernelEntry<RectifierArgs> Backward = new(
        "rectifier",
        Launch.FlatThreads,
        "rectify_backward_f32",
        "rectify_backward_bf16"
    );

    /// <summary>
    /// Device address of z after the ReLU, [Count], element type of the entry; 0 in the forward pass. 16-byte alignment
    /// allows vector accesses.
    /// </summary>
    public ulong Z;

    /// <summary>
    /// Device address of what is updated, [Count], element type of the entry: z forward, its gradient backward. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>Elements of z.</summary>
    public long Count;
}
