namespace Spectral.Kernels.Interop;

/// <summary>
/// Arguments of <c>adamw_8bit.cu</c>: one step of AdamW for parameters of one shape with moments in 8 bits.
/// </summary>
public struct AdamW8BitArgs : IBatchArgs
{
    /// <summary>Elements that share a largest magnitude.</summary>
    internal const int CodeBlock = 256;

    /// <summary>
    /// The kernel <c>adamw_8bit_f32</c>: updates parameters and their moments; 8 lanes per block of 256 elements,
    /// parameters along y.
    /// </summary>
    public static readonly KernelEntry<AdamW8BitArgs> Kernel = new("adamw_8bit", Launch.RowThreads, "adamw_8bit_f32");

    /// <summary>
    /// Device address of the parameters, [batch, Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Parameter;

    /// <summary>
    /// Device address of their gradients, [batch, Count] F32; read: the clip factor in the state is applied on the way.
    /// 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>
    /// Device address of the codes of the mean of gradients, four in each of ⌈Count/4⌉ words a matrix, the first in the
    /// lowest byte; updated.
    /// </summary>
    public ulong M;

    /// <summary>
    /// Device address of the largest magnitude of that mean in each block of 256, [batch, ⌈Count/256⌉] F32; updated.
    /// </summary>
    public ulong MMost;

    /// <summary>
    /// Device address of the codes of the mean of squared gradients, as those of <see cref="M"/>; updated.
    /// </summary>
    public ulong V;

    /// <summary>
    /// Device address of the largest mean of squares in each block of 256, [batch, ⌈Count/256⌉] F32; updated.
    /// </summary>
    public ulong VMost;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Elements from a parameter to the next.</summary>
    public long Stride;

    /// <summary>Number of elements of a parameter.</summary>
    public long Count;

    /// <summary>
    /// Factor of this parameter's learning rate, and with it of its weight decay; 1 for the rate in the state.
    /// </summary>
    public float Rate;

    void IBatchArgs.Skip(int matrices)
    {
        long words = Launch.Blocks(Count, sizeof(int));
        long blocks = Launch.Blocks(Count, CodeBlock);
        Parameter = Launch.Skip(Parameter, matrices * Stride);
        Gradient = Launch.Skip(Gradient, matrices * Stride);
        M = Launch.Skip(M, matrices * words);
        MMost = Launch.Skip(MMost, matrices * blocks);
        V = Launch.Skip(V, matrices * words);
        VMost = Launch.Skip(VMost, matrices * blocks);
    }
}
