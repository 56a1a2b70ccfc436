namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>cross_entropy.cu</c>: losses of next-token logits and their gradient.</summary>
public struct CrossEntropyArgs
{
    /// <summary>
    /// Describes the kernels by the type of the gradient: <c>cross_entropy_f32</c> and <c>cross_entropy_bf16</c>.
    /// </summary>
    public static readonly KernelEntry<CrossEntropyArgs> Kernel = new(
        "cross_entropy",
        512,
        "cross_entropy_f32",
        "cross_entropy_bf16"
    );

    /// <summary>
    /// Device address of the logits, [Rows, Vocabulary] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Logits;

    /// <summary>Device address of the target ids, [Rows] I32; −1 masks a row.</summary>
    public ulong Targets;

    /// <summary>Device address of the losses, [Rows] F32; written.</summary>
    public ulong Losses;

    /// <summary>
    /// Device address of the gradient of the logits, [Rows, Vocabulary], element type of the entry; 0: not wanted; may
    /// be the logits when F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong DLogits;

    /// <summary>Device address of one F32 factor of the gradient that a captured step reads anew; 0: 1.</summary>
    public ulong Scale;

    /// <summary>Rows of the logits.</summary>
    public int Rows;

    /// <summary>Columns of the logits.</summary>
    public int Vocabulary;

    /// <summary>Factor of the gradient that is fixed at launch.</summary>
    public float GradientScale;
}
