namespace Spectral.Kernels.Interop;

/// <summary>Arguments of the sums in <c>elementwise.cu</c>: <c>y = a + b</c>.</summary>
public struct AddArgs
{
    /// <summary>The kernels by element type, <c>add_f32</c> and <c>add_bf16</c>; one thread per 16 bytes.</summary>
    public static readonly KernelEntry<AddArgs> Kernel = new("elementwise", Launch.FlatThreads, "add_f32", "add_bf16");

    /// <summary>
    /// Device address of a, [Count], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong A;

    /// <summary>
    /// Device address of b, [Count], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong B;

    /// <summary>
    /// Device address of y, [Count], element type of the entry; written; may be a or b. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of elements of each array.</summary>
    public long Count;
}

/// <summary>Arguments of the scaling kernels in <c>elementwise.cu</c>: <c>x = factor · x</c>.</summary>
public struct ScaleArgs
{
    /// <summary>The kernels by element type, <c>scale_f32</c> and <c>scale_bf16</c>; one thread per 16 bytes.</summary>
    public static readonly KernelEntry<ScaleArgs> Kernel = new(
        "elementwise",
        Launch.FlatThreads,
        "scale_f32",
        "scale_bf16"
    );

    /// <summary>
    /// Device address of x, [Count], element type of the entry; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>Number of elements of x.</summary>
    public long Count;

    /// <summary>Factor that every element is multiplied by.</summary>
    public float Factor;
}

/// <summary>
/// Arguments of the conversions in <c>elementwise.cu</c>: x converted to the other element type, rounded to nearest
/// even.
/// </summary>
public struct CastArgs
{
    /// <summary>
    /// The kernels by the type of the source, <c>cast_f32_bf16</c> and <c>cast_bf16_f32</c>; one thread per 8 elements.
    /// </summary>
    public static readonly KernelEntry<CastArgs> Kernel = new(
        "elementwise",
        Launch.FlatThreads,
        "cast_f32_bf16",
        "cast_bf16_f32"
    );

    /// <summary>
    /// Device address of x, [Count], the type that the entry names first. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of y, [Count], the type that the entry names last; written. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Y;

    /// <summary>Number of elements of x.</summary>
    public long Count;
}

/// <summary>Arguments of the bias kernels in <c>elementwise.cu</c>: <c>y[i, j] += bias[j]</c>.</summary>
public struct AddBiasArgs
{
    /// <summary>The kernels by element type, <c>add_bias_f32</c> and <c>add_bias_bf16</c>; one warp per row.</summary>
    public static readonly KernelEntry<AddBiasArgs> Kernel = new(
        "elementwise",
        Launch.RowThreads,
        "add_bias_f32",
        "add_bias_bf16"
    );

    /// <summary>
    /// Device address of y, [Rows, Columns], element type of the entry; updated. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Y;

    /// <summary>
    /// Device address of the bias, [Columns], element type of the entry. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Bias;

    /// <summary>Number of rows of y.</summary>
    public int Rows;

    /// <summary>Number of columns of y.</summary>
    public int Columns;
}
