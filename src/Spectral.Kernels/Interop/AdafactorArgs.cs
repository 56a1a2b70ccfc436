namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>adafactor.cu</c>: the parts of a step of Adafactor for matrices of one shape.</summary>
public struct AdafactorArgs : IBatchArgs
{
    /// <summary>Rows of a tile, at least.</summary>
    internal const int LeastChunk = 8;

    /// <summary>Columns of a tile; <c>kTileColumns</c> in the kernel.</summary>
    internal const int TileColumns = 16;

    private const int TileThreads = 64;

    /// <summary>The kernel <c>adafactor_advance</c>: the share of this step in the moments; one thread.</summary>
    public static readonly KernelEntry<AdafactorArgs> Advance = new("adafactor", 32, "adafactor_advance");

    /// <summary>
    /// The kernel <c>adafactor_squares_f32</c>: sums squares over rows and columns of tiles; one thread per tile.
    /// </summary>
    public static readonly KernelEntry<AdafactorArgs> Squares = new("adafactor", TileThreads, "adafactor_squares_f32");

    /// <summary>
    /// The kernel <c>adafactor_means_f32</c>: updates the means of rows and columns; one thread for each.
    /// </summary>
    public static readonly KernelEntry<AdafactorArgs> Means = new(
        "adafactor",
        Launch.FlatThreads,
        "adafactor_means_f32"
    );

    /// <summary>
    /// The kernel <c>adafactor_norm_f32</c>: sums the squares of the direction; one thread per tile.
    /// </summary>
    public static readonly KernelEntry<AdafactorArgs> Norms = new("adafactor", TileThreads, "adafactor_norm_f32");

    /// <summary>The kernel <c>adafactor_finish</c>: factors of the directions; one warp per matrix.</summary>
    public static readonly KernelEntry<AdafactorArgs> Finish = new("adafactor", 32, "adafactor_finish");

    /// <summary>The kernel <c>adafactor_update_f32</c>: updates the parameters; one thread per tile.</summary>
    public static readonly KernelEntry<AdafactorArgs> Update = new("adafactor", TileThreads, "adafactor_update_f32");

    /// <summary>
    /// Device address of the parameters, matrices [Height, Width] F32 that lie <see cref="Stride"/> elements apart;
    /// updated by <see cref="Update"/> alone.
    /// </summary>
    public ulong Parameter;

    /// <summary>
    /// Device address of their gradients, which lie as the parameters do; read: the clip factor in the state is
    /// applied.
    /// </summary>
    public ulong Gradient;

    /// <summary>
    /// Device address of the means of squares of the rows, [batch, Height] F32; updated by <see cref="Means"/>. 0 with
    /// <see cref="V"/>.
    /// </summary>
    public ulong Rows;

    /// <summary>
    /// Device address of the means of squares of the columns, [batch, Width] F32; updated by <see cref="Means"/>. 0
    /// with <see cref="V"/>.
    /// </summary>
    public ulong Columns;

    /// <summary>
    /// Device address of second moments of their own, [Count] F32; updated by <see cref="Norms"/>. 0: those of rows and
    /// columns.
    /// </summary>
    public ulong V;

    /// <summary>
    /// Device address of the sums over the rows of tiles, [batch, tiles of a row, Height] F32: scratch memory. 0 with
    /// <see cref="V"/>.
    /// </summary>
    public ulong RowParts;

    /// <summary>
    /// Device address of the sums over the columns of tiles, [batch, tiles of a column, Width] F32: scratch memory. 0
    /// with <see cref="V"/>.
    /// </summary>
    public ulong ColumnParts;

    /// <summary>Device address of the sums over tiles, [batch, tiles] F64: scratch memory.</summary>
    public ulong NormParts;

    /// <summary>Device address of the factors of the directions, [batch] F32: scratch memory.</summary>
    public ulong Factors;

    /// <summary>
    /// Device address of the share of this step in the moments, one F32; written by <see cref="Advance"/>, which reads
    /// <see cref="State"/> and <see cref="Power"/> alone.
    /// </summary>
    public ulong Share;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Elements from a matrix to the next.</summary>
    public long Stride;

    /// <summary>Elements of a matrix.</summary>
    public long Count;

    /// <summary>Number of rows of each matrix.</summary>
    public int Height;

    /// <summary>Number of elements of a row.</summary>
    public int Width;

    /// <summary>Number of rows of a tile.</summary>
    public int Chunk;

    /// <summary>Power of the step's number that is the share of this step in a moment, negated.</summary>
    public float Power;

    /// <summary>Largest root mean square of the direction; a longer one is scaled down to it.</summary>
    public float Threshold;

    /// <summary>
    /// Factor of this parameter's learning rate, and with it of its weight decay; 1 for the rate in the state.
    /// </summary>
    public float Rate;

    void IBatchArgs.Skip(int matrices)
    {
        long parts = (long)matrices * Launch.Blocks(Height, Chunk);
        long blocks = (long)matrices * Launch.Blocks(Width, TileColumns);
        Parameter = Launch.Skip(Parameter, matrices * Stride);
        Gradient = Launch.Skip(Gradient, matrices * Stride);
        Rows = Launch.Skip(Rows, (long)matrices * Height);
        Columns = Launch.Skip(Columns, (long)matrices * Width);
        V = Launch.Skip(V, matrices * Stride);
        RowParts = Launch.Skip(RowParts, blocks * Height);
        ColumnParts = Launch.Skip(ColumnParts, parts * Width);
        NormParts = Launch.Skip(NormParts, blocks * Launch.Blocks(Height, Chunk), sizeof(double));
        Factors = Launch.Skip(Factors, matrices);
    }
}
