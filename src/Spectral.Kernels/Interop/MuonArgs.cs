namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>muon.cu</c>: the elementwise parts of one step of Muon for one matrix.</summary>
public struct MuonArgs
{
    /// <summary>The kernel <c>muon_momentum_f32</c>: updates the momentum; one thread per 4 elements.</summary>
    public static readonly KernelEntry<MuonArgs> Begin = new("muon", Launch.FlatThreads, "muon_momentum_f32");

    /// <summary>The kernel <c>muon_normalize_f32</c>: divides by a norm; one thread per 4 elements.</summary>
    public static readonly KernelEntry<MuonArgs> Normalize = new("muon", Launch.FlatThreads, "muon_normalize_f32");

    /// <summary>The kernel <c>muon_update_f32</c>: updates the parameter; one thread per 4 elements.</summary>
    public static readonly KernelEntry<MuonArgs> Update = new("muon", Launch.FlatThreads, "muon_update_f32");

    /// <summary>
    /// Device address of the parameter, [Count] F32; updated by <see cref="Update"/> alone. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong Parameter;

    /// <summary>
    /// Device address of its gradient, [Count] F32; read by <see cref="Begin"/> alone, which applies the clip factor in
    /// the state. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong Gradient;

    /// <summary>
    /// Device address of the sum of past gradients, [Count] F32; updated by <see cref="Begin"/> alone. 16-byte
    /// alignment allows vector accesses.
    /// </summary>
    public ulong M;

    /// <summary>
    /// Device address of the direction of the step, [Count] F32: written, divided, read. 16-byte alignment allows
    /// vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>Device address of the norm of the direction, one F32; read by <see cref="Normalize"/> alone.</summary>
    public ulong Norm;

    /// <summary>
    /// Device address of one step state (<c>device/step_state.cuh</c>, 128 bytes) that was advanced for this step;
    /// 8-byte aligned.
    /// </summary>
    public ulong State;

    /// <summary>Number of elements of the parameter.</summary>
    public long Count;

    /// <summary>Factor of <see cref="M"/> before the gradient is added.</summary>
    public float Momentum;

    /// <summary>Factor of the step.</summary>
    public float Scale;

    /// <summary>
    /// Factor of this parameter's learning rate, and with it of its weight decay; 1 for the rate in the state.
    /// </summary>
    public float Rate;
}
