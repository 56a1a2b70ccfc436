namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>entries.cu</c>: single entries of a matrix, read or added to by their place.</summary>
public struct EntriesArgs
{
    /// <summary>
    /// The kernels that read entries, by element type, <c>entries_gather_f32</c> and <c>entries_gather_bf16</c>; one
    /// thread per entry.
    /// </summary>
    public static readonly KernelEntry<EntriesArgs> Gather = new(
        "entries",
        Launch.FlatThreads,
        "entries_gather_f32",
        "entries_gather_bf16"
    );

    /// <summary>
    /// The kernels that add to entries, by element type, <c>entries_add_f32</c> and <c>entries_add_bf16</c>; one thread
    /// per entry.
    /// </summary>
    public static readonly KernelEntry<EntriesArgs> Add = new(
        "entries",
        Launch.FlatThreads,
        "entries_add_f32",
        "entries_add_bf16"
    );

    /// <summary>Device address of the matrix, [Size], element type of the entry; written to add.</summary>
    public ulong X;

    /// <summary>
    /// Device address of the place of each entry, [Count] I32; all different to add. One outside the matrix reads as 0
    /// and is not added to.
    /// </summary>
    public ulong Index;

    /// <summary>Device address of the values, [Count] F32; written to gather.</summary>
    public ulong Values;

    /// <summary>Number of elements of the matrix.</summary>
    public int Size;

    /// <summary>Number of entries in the index.</summary>
    public int Count;

    /// <summary>Factor of the values to add.</summary>
    public float Scale;
}
