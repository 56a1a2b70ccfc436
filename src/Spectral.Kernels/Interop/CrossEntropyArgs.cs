namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>cross_entropy.cu</c>: the loss of each row of logits, and its gradient.</summary>
public struct CrossEntropyArgs
{
    /// <summary>
    /// The kernels by the type of the gradient, <c>cross_entropy_f32</c> and <c>cross_entropy_bf16</c>; one block per
    /// row.
    /// </summary>
    public static readonly KernelEntry<CrossEntropyArgs> Kernel = new(
        "cross_entropy",
        512,
        "cross_entropy_f32",
        "cross_entropy_bf16"
    )
    {
        StaticSharedBytes = 256,
    };

    /// <summary>
    /// Device address of the logits, [Rows, Vocabulary] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Logits;

    /// <summary>Device address of the target ids, [Rows] I32; −1 masks a row.</summary>
    public ulong Targets;

    /// <summary>Device address of the losses, [Rows] F32; written.</summary>
    public ulong Losses;

    /// <summary>
    /// Device address of the gradient of the logits, [Rows, Vocabulary], element type of the entry; written; 0 if it is
    /// not wanted; may be the logits when it is F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DLogits;

    /// <summary>
    /// Device address of one F32 factor of the gradient, which each replay of a captured step reads again; 0 for the
    /// factor 1.
    /// </summary>
    public ulong Scale;

    /// <summary>Number of rows of the logits.</summary>
    public int Rows;

    /// <summary>Number of columns of the logits, the vocabulary's size.</summary>
    public int Vocabulary;

    /// <summary>Factor of the gradient that is fixed at launch.</summary>
    public float GradientScale;
}
