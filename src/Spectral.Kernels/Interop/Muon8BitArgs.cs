namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>muon_8bit.cu</c>: the momentum of Muon for parameters of one shape, in 8 bits.</summary>
public struct Muon8BitArgs : IBatchArgs
{
    /// <summary>Elements that share a largest magnitude.</summary>
    internal const int CodeBlock = 2048;

    /// <summary>
    /// The kernel <c>muon_8bit_momentum_f32</c>: updates the momentum and writes what is to become orthogonal; one warp
    /// per block of 2048 elements, gradients along y.
    /// </summary>
    public static readonly KernelEntry<Muon8BitArgs> Momenta = new(
        "muon_8bit",
        Launch.RowThreads,
        "muon_8bit_momentum_f32"
    );

    /// <summary>
    /// Device address of the gradients, [batch, Count] F32; read: the clip factor in the state is applied on the way.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>
    /// Device address of the codes of the momentum, four in each of ⌈Count/4⌉ words a matrix, the first in the lowest
    /// byte; updated.
    /// </summary>
    public ulong M;

    /// <summary>
    /// Device address of the largest magnitude of the momentum in each block of 2048, [batch, ⌈Count/2048⌉] F32;
    /// updated.
    /// </summary>
    public ulong Most;

    /// <summary>
    /// Device address of the directions, [batch, Count] F32; written. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Elements from a gradient to the next.</summary>
    public long Stride;

    /// <summary>Number of elements of a gradient.</summary>
    public long Count;

    /// <summary>Share of the momentum that is left in a step.</summary>
    public float Momentum;

    void IBatchArgs.Skip(int matrices)
    {
        Gradient = Launch.Skip(Gradient, matrices * Stride);
        X = Launch.Skip(X, matrices * Count);
        M = Launch.Skip(M, (long)matrices * Launch.Blocks(Count, sizeof(int)));
        Most = Launch.Skip(Most, (long)matrices * Launch.Blocks(Count, CodeBlock));
    }
}
