namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>combine.cu</c>: <c>z = α x + β y + γ I</c>, for a batch of matrices.</summary>
public struct CombineArgs
{
    /// <summary>Describes <c>combine</c>.</summary>
    public static readonly KernelEntry<CombineArgs> Kernel = new("combine", Launch.FlatThreads, "combine");

    /// <summary>Device address of x, [Count] F32. 16-byte alignment allows vector accesses.</summary>
    public ulong X;

    /// <summary>Device address of y, [Count] F32; 0: none. 16-byte alignment allows vector accesses.</summary>
    public ulong Y;

    /// <summary>
    /// Device address of z, [Count] F32; written; may be x or y. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Z;

    /// <summary>Elements of all matrices together.</summary>
    public long Count;

    /// <summary>Rows of one matrix.</summary>
    public int Rows;

    /// <summary>Columns of one matrix.</summary>
    public int Columns;

    /// <summary>Factor of x.</summary>
    public float Alpha;

    /// <summary>Factor of y.</summary>
    public float Beta;

    /// <summary>Added to the diagonal of each matrix.</summary>
    public float Gamma;
}
