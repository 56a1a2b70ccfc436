namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>scale_shift</c>: <c>y = scale ∘ x + shift</c> per column.</summary>
public struct ScaleShiftArgs
{
    /// <summary>Describes <c>scale_shift_f32</c> and <c>scale_shift_bf16</c>.</summary>
    public static readonly KernelEntry<ScaleShiftArgs> Kernel = new(
        "scale_shift",
        128,
        "scale_shift_f32",
        "scale_shift_bf16"
    );

    /// <summary>
    /// Device address of x, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>Device address of the scales, [Columns] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong Scale;

    /// <summary>
    /// Device address of the shifts, [Columns], element type of the entry; 0: none. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Shift;

    /// <summary>
    /// Device address of y, [Rows, Columns], element type of the entry; may be x. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Rows of x.</summary>
    public int Rows;

    /// <summary>Columns of x.</summary>
    public int Columns;

    /// <summary>Rows that one thread covers; grid y counts the chunks.</summary>
    public int Chunk;

    /// <summary>1: add to what y holds; 0: overwrite.</summary>
    public int Accumulate;
}

/// <summary>Arguments of <c>scale_gradient</c>: column sums of <c>dy ∘ x</c> over chunks of rows.</summary>
public struct ScaleGradientArgs
{
    /// <summary>Describes <c>scale_gradient_f32</c> and <c>scale_gradient_bf16</c>.</summary>
    public static readonly KernelEntry<ScaleGradientArgs> Kernel = new(
        "scale_shift",
        128,
        "scale_gradient_f32",
        "scale_gradient_bf16"
    );

    /// <summary>
    /// Device address of dy, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Dy;

    /// <summary>
    /// Device address of x, [Rows, Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of the sums, [⌈Rows / Chunk⌉, Columns] F32. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Sums;

    /// <summary>Rows of x.</summary>
    public int Rows;

    /// <summary>Columns of x.</summary>
    public int Columns;

    /// <summary>Rows that one sum covers; grid y counts the chunks.</summary>
    public int Chunk;

    /// <summary>1: add to what the sums hold; 0: overwrite.</summary>
    public int Accumulate;
}
