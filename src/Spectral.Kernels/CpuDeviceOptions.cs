using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Settings of the CPU device. <see cref="Kernels"/> and <see cref="PtxTarget"/> hold for the device that is opened
/// with them. The others hold for the whole process; null leaves them unchanged.
/// </summary>
public sealed record CpuDeviceOptions
{
    /// <summary>
    /// Environment variable for <see cref="Kernels"/> where the options leave it open: <c>source</c> or <c>ptx</c>.
    /// </summary>
    public const string KernelsVariable = "SPECTRAL_CPU_KERNELS";

    /// <summary>
    /// Environment variable for <see cref="PtxTarget"/> where the options leave it open, e.g. <c>sm_80</c>.
    /// </summary>
    public const string PtxTargetVariable = "SPECTRAL_CPU_PTX_TARGET";

    /// <summary>
    /// Environment variable for <see cref="Profile"/>, e.g. <c>H100</c> or <c>RTX 4090</c>; it is read when the CPU
    /// device is first used.
    /// </summary>
    public const string ProfileVariable = "SPECTRAL_CPU_PROFILE";

    /// <summary>
    /// Form of the kernels that the device runs; null for that of <see cref="KernelsVariable"/>, or else
    /// <see cref="CpuKernels.Source"/>.
    /// </summary>
    public CpuKernels? Kernels { get; init; }

    /// <summary>
    /// Target whose PTX the device runs, one of <see cref="KernelLibrary.Architectures"/>; null for that of
    /// <see cref="PtxTargetVariable"/>, or else for the one that a GPU of the device's compute capability would load. A
    /// module that exists for one target only is taken from there. Without effect on <see cref="CpuKernels.Source"/>.
    /// </summary>
    public string? PtxTarget { get; init; }

    /// <summary>
    /// GPU that the device stands for: it reports that GPU's properties and keeps its limits. Of devices that are open
    /// already, it changes the limits but not the properties.
    /// </summary>
    public CpuProfile? Profile { get; init; }

    /// <summary>
    /// Number of OS threads that run blocks and BLAS tiles; 0 for one per core. Results do not depend on it.
    /// </summary>
    public int? Threads { get; init; }

    /// <summary>Seed that shuffles the order in which the threads of a block run; 0 to run them in order.</summary>
    public int? Seed { get; init; }

    /// <summary>Device memory in bytes, at most that of the machine; 0 for all of it.</summary>
    public long? Memory { get; init; }

    /// <summary>
    /// Whether new device memory and shared memory are filled with a pattern, which makes reads of memory that was
    /// never written show up.
    /// </summary>
    public bool? Poison { get; init; }

    internal void Apply(DriverApi api)
    {
        if (Profile is { } profile)
            api.SetCpuOption("profile", (long)profile);
        if (Threads is { } threads)
            api.SetCpuOption("threads", threads);
        if (Seed is { } seed)
            api.SetCpuOption("seed", seed);
        if (Memory is { } memory)
            api.SetCpuOption("memory", memory);
        if (Poison is { } poison)
            api.SetCpuOption("poison", poison ? 1 : 0);
    }
}
