namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>sample_rows.cu</c>: the places of rows that are drawn at random.</summary>
public struct SampleRowsArgs
{
    /// <summary>The kernel <c>sample_rows</c>: one thread per place.</summary>
    public static readonly KernelEntry<SampleRowsArgs> Kernel = new("sample_rows", Launch.FlatThreads, "sample_rows");

    /// <summary>
    /// Device address of the <c>DropoutState</c> (seed and number of the micro-batch, two U64), 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Device address of the places, [Count] I32; written.</summary>
    public ulong Index;

    /// <summary>Number of the generator's stream, below 2³².</summary>
    public ulong Stream;

    /// <summary>Number of rows to draw from.</summary>
    public int Rows;

    /// <summary>Number of rows to draw.</summary>
    public int Count;
}
