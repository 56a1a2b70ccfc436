namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>muon.cu</c>: the elementwise parts of a step of Muon for matrices of one shape.</summary>
public struct MuonArgs : IBatchArgs
{
    /// <summary>Elements whose squares a thread of <see cref="Squares"/> sums: 8 vectors of 4.</summary>
    internal const int ElementsPerPart = 32;

    /// <summary>The kernel <c>muon_momentum_f32</c>: updates the momentum; one thread per 4 elements.</summary>
    public static readonly KernelEntry<MuonArgs> Begin = new("muon", Launch.FlatThreads, "muon_momentum_f32");

    /// <summary>The kernel <c>muon_squares_f32</c>: sums squares; one thread per 32 elements.</summary>
    public static readonly KernelEntry<MuonArgs> Squares = new("muon", Launch.FlatThreads, "muon_squares_f32");

    /// <summary>The kernel <c>muon_norm</c>: adds the sums of a matrix; one warp per matrix.</summary>
    public static readonly KernelEntry<MuonArgs> Norms = new("muon", 32, "muon_norm");

    /// <summary>The kernel <c>muon_normalize_f32</c>: divides by the norms; one thread per 4 elements.</summary>
    public static readonly KernelEntry<MuonArgs> Normalize = new("muon", Launch.FlatThreads, "muon_normalize_f32");

    /// <summary>The kernel <c>muon_update_f32</c>: updates the parameters; one thread per 4 elements.</summary>
    public static readonly KernelEntry<MuonArgs> Update = new("muon", Launch.FlatThreads, "muon_update_f32");

    /// <summary>
    /// Device address of the parameters, matrices of [Count] F32 that lie <see cref="Stride"/> elements apart; updated
    /// by <see cref="Update"/> alone. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Parameter;

    /// <summary>
    /// Device address of their gradients, which lie as the parameters do; read by <see cref="Begin"/> alone, which
    /// applies the clip factor in the state. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>
    /// Device address of the sums of past gradients, [batch, Count] F32; updated by <see cref="Begin"/> alone. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong M;

    /// <summary>
    /// Device address of the directions of the step, [batch, Count] F32: written by <see cref="Begin"/>, then read.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of what <see cref="Normalize"/> writes, [batch, Count] F32. 16-byte alignment allows vector
    /// accesses.
    /// </summary>
    public ulong Y;

    /// <summary>
    /// Device address of the sums of squares, [batch, PartsCount] F64: scratch memory of <see cref="Squares"/> and
    /// <see cref="Norms"/>.
    /// </summary>
    public ulong Parts;

    /// <summary>
    /// Device address of the norms of the directions, [batch] F32: scratch memory of <see cref="Norms"/> and
    /// <see cref="Normalize"/>.
    /// </summary>
    public ulong Norm;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Elements from a parameter to the next.</summary>
    public long Stride;

    /// <summary>Number of elements of a matrix.</summary>
    public long Count;

    /// <summary>Number of threads that <see cref="Squares"/> is launched with for a matrix.</summary>
    public long PartsCount;

    /// <summary>Factor of <see cref="M"/> before the gradient is added.</summary>
    public float Momentum;

    /// <summary>Factor of the step.</summary>
    public float Scale;

    /// <summary>
    /// Factor of the parameters' learning rate, and with it of their weight decay; 1 for the rate in the state.
    /// </summary>
    public float Rate;

    void IBatchArgs.Skip(int matrices)
    {
        Parameter = Launch.Skip(Parameter, matrices * Stride);
        Gradient = Launch.Skip(Gradient, matrices * Stride);
        M = Launch.Skip(M, matrices * Count);
        X = Launch.Skip(X, matrices * Count);
        Y = Launch.Skip(Y, matrices * Count);
        Parts = Launch.Skip(Parts, matrices * PartsCount, sizeof(double));
        Norm = Launch.Skip(Norm, matrices);
    }
}
