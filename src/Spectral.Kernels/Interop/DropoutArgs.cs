namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>dropout.cu</c>: an array times a random mask.</summary>
public struct DropoutArgs
{
    /// <summary>
    /// The kernels by element type, <c>dropout_f32</c> and <c>dropout_bf16</c>; one thread per 8 elements.
    /// </summary>
    public static readonly KernelEntry<DropoutArgs> Kernel = new(
        "dropout",
        Launch.FlatThreads,
        "dropout_f32",
        "dropout_bf16"
    );

    /// <summary>
    /// Device address of x, [Count], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of y, [Count], element type of the entry; written; may be x. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of elements of x.</summary>
    public long Count;

    /// <summary>The mask, and the factor of the elements that it keeps.</summary>
    public DropoutSource Dropout;

    /// <summary>1 to add to y, 0 to overwrite.</summary>
    public int Accumulate;
}
