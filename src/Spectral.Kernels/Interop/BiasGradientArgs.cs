namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>bias_gradient.cu</c>: column sums over chunks of rows.</summary>
public struct BiasGradientArgs
{
    /// <summary>
    /// The kernels by the type of dy, <c>bias_gradient_f32</c> and <c>bias_gradient_bf16</c>; one thread per 16 bytes
    /// of a row (grid x) and chunk of rows (grid y).
    /// </summary>
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
    /// Device address of the sums, [⌈Rows / Chunk⌉, Columns] F32; written or added to. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Sums;

    /// <summary>Number of rows of dy.</summary>
    public int Rows;

    /// <summary>Number of columns of dy.</summary>
    public int Columns;

    /// <summary>Number of rows that one sum covers; grid y counts the chunks.</summary>
    public int Chunk;

    /// <summary>1 to add to the sums, 0 to overwrite.</summary>
    public int Accumulate;
}
