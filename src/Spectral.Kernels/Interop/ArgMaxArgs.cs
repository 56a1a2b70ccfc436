namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>arg_max.cu</c>: the index of the largest element of each row.</summary>
public struct ArgMaxArgs
{
    /// <summary>
    /// The kernel <c>arg_max_f32</c>: finds the lowest index of the largest element; one warp per row.
    /// </summary>
    public static readonly KernelEntry<ArgMaxArgs> Kernel = new("arg_max", Launch.RowThreads, "arg_max_f32");

    /// <summary>Device address of the logits, [Rows, Columns] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong Logits;

    /// <summary>Device address of the indices, [Rows] I32; written.</summary>
    public ulong Indices;

    /// <summary>Number of rows of the logits.</summary>
    public int Rows;

    /// <summary>Number of columns of the logits, fewer than 2²⁴.</summary>
    public int Columns;
}
