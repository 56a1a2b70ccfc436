namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>row_noise.cu</c>: uniform noise that is added to the rows of a matrix.</summary>
public struct RowNoiseArgs
{
    /// <summary>
    /// The kernels by element type, <c>row_noise_f32</c> and <c>row_noise_bf16</c>; one thread per 16-byte
    /// vector.
    /// </summary>
    public static readonly KernelEntry<RowNoiseArgs> Kernel = new(
        "row_noise",
        Launch.FlatThreads,
        "row_noise_f32",
        "row_noise_bf16"
    );

    /// <summary>
    /// Device address of the <c>DropoutState</c> (seed and number of the micro-batch, two U64), 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>
    /// Device address of the matrix, [rows, <see cref="Width"/>], element type of the entry; noise is added to
    /// it. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>Device address of the largest noise of each row, [rows] F32.</summary>
    public ulong Scales;

    /// <summary>Number of the generator's stream, below 2³².</summary>
    public ulong Stream;

    /// <summary>Number of elements of the matrix.</summary>
    public long Count;

    /// <summary>Number of elements of a row.</summary>
    public int Width;
}
