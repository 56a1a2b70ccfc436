namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>combine.cu</c>: <c>z = α x + β y + γ I</c>, for a batch of matrices.</summary>
public struct CombineArgs
{
    /// <summary>The kernel <c>combine</c>; one thread per 4 elements.</summary>
    public static readonly KernelEntry<CombineArgs> Kernel = new("combine", Launch.FlatThreads, "combine");

    /// <summary>Device address of x, [Count] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>Device address of y, [Count] F32; 0 for none. 16-byte alignment allows vector accesses.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of z, [Count] F32; written; may be x or y. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Z;

    /// <summary>Number of elements of all matrices together.</summary>
    public long Count;

    /// <summary>Number of rows of one matrix.</summary>
    public int Rows;

    /// <summary>Number of columns of one matrix.</summary>
    public int Columns;

    /// <summary>Factor α that x is multiplied by.</summary>
    public float Alpha;

    /// <summary>Factor β that y is multiplied by.</summary>
    public float Beta;

    /// <summary>Number γ that is added to the diagonal of each matrix.</summary>
    public float Gamma;
}
