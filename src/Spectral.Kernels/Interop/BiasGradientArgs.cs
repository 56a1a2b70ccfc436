namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>bias_gradient.cu</c>: column sums over chunks of rows.</summary>
public struct BiasGradientArgs
{
    /// <summary>Describes <c>bias_gradient_f32</c> and <c>bias_gradient_bf16</c>.</summary>
    public static readonly KernelEntry<BiasGradientArgs> Kernel = new(
        "bias_gradient",
        128,
        "bias_gradient_f32",
        "bias_gradient_bf16"
    );

    /// <summary>
    /// Device address of dy, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>
    /// Device address of the sums, [⌈Rows / Chunk⌉, Columns] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Sums;

    /// <summary>Rows of dy.</summary>
    public int Rows;

    /// <summary>Columns of dy.</summary>
    public int Columns;

    /// <summary>Rows that one sum covers; grid y counts the chunks.</summary>
    public int Chunk;

    /// <summary>1: add to what the sums hold; 0: overwrite.</summary>
    public int Accumulate;
}
