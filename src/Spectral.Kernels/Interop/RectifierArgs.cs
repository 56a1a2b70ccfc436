namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>rectifier.cu</c>: ReLU in place, and its backward pass.</summary>
public struct RectifierArgs
{
    /// <summary>
    /// The kernels of the forward pass by element type, <c>rectify_f32</c> and <c>rectify_bf16</c>; one thread per 16
    /// bytes.
    /// </summary>
    public static readonly KernelEntry<RectifierArgs> Forward = new(
        "rectifier",
        Launch.FlatThreads,
        "rectify_f32",
        "rectify_bf16"
    );

    /// <summary>
    /// The kernels of the backward pass by element type, <c>rectify_backward_f32</c> and <c>rectify_backward_bf16</c>;
    /// one thread per 16 bytes.
    /// </summary>
    public static readonly KernelEntry<RectifierArgs> Backward = new(
        "rectifier",
        Launch.FlatThreads,
        "rectify_backward_f32",
        "rectify_backward_bf16"
    );

    /// <summary>
    /// Device address of the ReLU's output z, [Count], element type of the entry; 0 in the forward pass. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Z;

    /// <summary>
    /// Device address of the array to update, [Count], element type of the entry: z in the forward pass, its gradient
    /// in the backward pass. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>Number of elements of z.</summary>
    public long Count;
}
