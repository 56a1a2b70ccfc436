namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>scale_shift</c>: <c>y = scale ∘ x + shift</c>, with a scale and a shift for each column.
/// </summary>
public struct ScaleShiftArgs
{
    /// <summary>
    /// The kernels by the type of x and y, <c>scale_shift_f32</c> and <c>scale_shift_bf16</c>; one thread per 16 bytes
    /// of a row (grid x) and chunk of rows (grid y).
    /// </summary>
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
    /// Device address of the shifts, [Columns], element type of the entry; 0 for none. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Shift;

    /// <summary>
    /// Device address of y, [Rows, Columns], element type of the entry; written or added to; may be x. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of rows of x.</summary>
    public int Rows;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Number of rows that one thread covers; grid y counts the chunks.</summary>
    public int Chunk;

    /// <summary>1 to add to y, 0 to overwrite.</summary>
    public int Accumulate;
}

/// <summary>Arguments of <c>scale_gradient</c>: column sums of <c>dy ∘ x</c> over chunks of rows.</summary>
public struct ScaleGradientArgs
{
    /// <summary>
    /// The kernels by the type of x and dy, <c>scale_gradient_f32</c> and <c>scale_gradient_bf16</c>; one thread per 16
    /// bytes of a row (grid x) and chunk of rows (grid y).
    /// </summary>
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
    /// Device address of the sums, [⌈Rows / Chunk⌉, Columns] F32; written or added to. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Sums;

    /// <summary>Number of rows of x.</summary>
    public int Rows;

    /// <summary>Number of columns of x.</summary>
    public int Columns;

    /// <summary>Number of rows that one sum covers; grid y counts the chunks.</summary>
    public int Chunk;

    /// <summary>1 to add to the sums, 0 to overwrite.</summary>
    public int Accumulate;
}
