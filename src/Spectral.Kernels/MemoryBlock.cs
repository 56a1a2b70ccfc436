namespace Spectral.Kernels;

/// <summary>
/// Holds device memory and counts the tensors on it. When the count reaches zero the memory goes back to the pool;
/// memory of other code has no pool.
/// </summary>
internal sealed class MemoryBlock(
    MemoryPool? pool,
    MemoryHandle? handle,
    ulong pointer,
    long size,
    int sizeClass,
    DeviceStream? stream
)
{
    private int _references = 1;

    public ulong Pointer { get; } = pointer;
    public long Size { get; } = size;
    public int SizeClass { get; } = sizeClass;
    public DeviceStream? Stream { get; } = stream;
    public MemoryHandle? Handle { get; } = handle;

    public void AddReference() => Interlocked.Increment(ref _references);

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
            pool?.Return(this);
    }

    public void Reuse() => _references = 1;
}
