namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>dropout.cu</c>: an array times a random mask.</summary>
public struct DropoutArgs
{
    /// <summary>Describes <c>dropout_f32</c> and <c>dropout_bf16</c>.</summary>
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

    /// <summary>Elements of x.</summary>
    public long Count;

    /// <summary>The mask and the factor of what it keeps.</summary>
    public DropoutSource Dropout;

    /// <summary>1: add to what y holds; 0: overwrite.</summary>
    public int Accumulate;
}
