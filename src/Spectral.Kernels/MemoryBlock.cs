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
    private ulong _pointer = pointer;
    private PinnedMemory? _host;
    private long _contents;
    private bool _isAway;

    /// <summary>Address of the memory, which is brought back first if its contents are on the host.</summary>
    public ulong Pointer
    {
        get
        {
            if (_isAway)
                BringBack();
            return _pointer;
        }
    }

    public long Size { get; private set; } = size;
    public int SizeClass { get; private set; } = sizeClass;
    public DeviceStream? Stream { get; private set; } = stream;
    public MemoryHandle? Handle { get; private set; } = handle;

    public void AddReference() => Interlocked.Increment(ref _references);

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) > 0)
            return;
        _host?.Dispose();
        if (!_isAway)
            pool?.Return(this);
    }

    public void Reuse() => (_references, _host) = (1, null);

    /// <summary>
    /// Moves the contents to pinned host memory, which this object keeps, and returns the device memory to the pool.
    /// Does nothing if they are there already.
    /// </summary>
    /// <exception cref="InvalidOperationException">The memory belongs to other code.</exception>
    public void Offload(Device device)
    {
        if (pool is null)
            throw new InvalidOperationException("memory of other code cannot be moved to the host");
        if (_isAway)
            return;
        if (_host is null)
            (_host, _contents) = (new PinnedMemory(device, Size), Size);
        _host.CopyFrom(_pointer, _contents);
        // The stream's order makes it safe to hand the memory out again before the copy is done.
        pool.Return(new MemoryBlock(pool, Handle, _pointer, Size, SizeClass, Stream));
        (_isAway, Handle) = (true, null);
    }

    private void BringBack()
    {
        MemoryBlock taken = pool!.Allocate(_contents, Stream!);
        _host!.CopyTo(taken._pointer, _contents);
        (_pointer, Size, SizeClass, Handle) = (taken._pointer, taken.Size, taken.SizeClass, taken.Handle);
        _isAway = false;
    }
}
