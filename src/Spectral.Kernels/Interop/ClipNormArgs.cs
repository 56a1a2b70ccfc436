namespace Spectral.Kernels.Interop;

/// <summary>Arguments of <c>clip_norm.cu</c>: gradients and the norm of their group.</summary>
public struct ClipNormArgs
{
    /// <summary>The kernel <c>clip_norm_f32</c>: one thread per 4 elements.</summary>
    public static readonly KernelEntry<ClipNormArgs> Kernel = new("clip_norm", Launch.FlatThreads, "clip_norm_f32");

    /// <summary>
    /// Device address of the gradients, [Count] F32; updated. 16-byte alignment allows vector accesses.
    /// </summary>
    public ulong X;

    /// <summary>Device address of the norm of all gradients of the group, one F32.</summary>
    public ulong Norm;

    /// <summary>Number of elements of the gradients.</summary>
    public long Count;

    /// <summary>Largest norm that is left, above 0.</summary>
    public float MaxNorm;
}
