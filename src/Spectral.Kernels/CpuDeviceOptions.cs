using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>Settings of the CPU device. They hold for the whole process; null leaves a setting unchanged.</summary>
public sealed record CpuDeviceOptions
{
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
