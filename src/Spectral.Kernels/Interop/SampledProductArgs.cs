namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>sampled_product.cu</c>: single entries of a product of two matrices.</summary>
public struct SampledProductArgs
{
    /// <summary>The kernel <c>sampled_product_f32</c>; 8 lanes per entry.</summary>
    public static readonly KernelEntry<SampledProductArgs> Kernel = new(
        "sampled_product",
        Launch.RowThreads,
        "sampled_product_f32"
    );

    /// <summary>Device address of dy, [Rows, Tokens] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong Dy;

    /// <summary>Device address of x, [Columns, Tokens] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>Device address of the place of each entry in the product [Rows, Columns], [Count] I32.</summary>
    public ulong Index;

    /// <summary>Device address of the values, [Count] F32; written.</summary>
    public ulong Values;

    /// <summary>Number of rows of the product.</summary>
    public int Rows;

    /// <summary>Number of columns of the product.</summary>
    public int Columns;

    /// <summary>Number of terms of each sum.</summary>
    public int Tokens;

    /// <summary>Number of entries in the index.</summary>
    public int Count;

    /// <summary>Factor of the sums.</summary>
    public float Scale;

    /// <summary>1 to add to the values, 0 to overwrite them.</summary>
    public int Accumulate;
}
