using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Owns one driver allocation. When it is freed, also by the garbage collector, its bytes leave the pool's counts.
/// </summary>
internal sealed unsafe class MemoryHandle(
    DriverApi api,
    ContextHandle context,
    ulong pointer,
    long size,
    DeviceMemory memory
) : DriverHandle(api, context, (nint)pointer, "memory")
{
    /// <summary>Whether the pool keeps the memory for reuse.</summary>
    public bool Cached;

    protected override int Free(nint value)
    {
        Interlocked.Add(ref Cached ? ref memory.CachedBytes : ref memory.InUseBytes, -size);
        return Api.MemFree((ulong)value);
    }
}
