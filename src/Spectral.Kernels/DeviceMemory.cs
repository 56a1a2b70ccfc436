namespace Spectral.Kernels;

/// <summary>Counts the bytes that a device's memory pool holds.</summary>
public sealed class DeviceMemory
{
    internal long InUseBytes;
    internal long CachedBytes;
    internal long PeakBytes;

    internal DeviceMemory() { }

    /// <summary>
    /// Largest number of bytes that the device may hold, <see cref="InUse"/> and <see cref="Cached"/> together; null
    /// for all that the driver gives. An allocation beyond it fails as one for which the driver has no memory.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 1.</exception>
    public long? Limit
    {
        get;
        set
        {
            if (value is { } bytes)
                ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 1, nameof(value));
            field = value;
        }
    }

    /// <summary>Bytes of the tensors that are alive, rounded up to the pool's size classes.</summary>
    public long InUse => Interlocked.Read(ref InUseBytes);

    /// <summary>
    /// Largest <see cref="InUse"/> since the device was opened or <see cref="ResetPeak"/> was called, in bytes.
    /// </summary>
    public long Peak => Interlocked.Read(ref PeakBytes);

    /// <summary>Bytes that no tensor holds and that the pool keeps for reuse.</summary>
    public long Cached => Interlocked.Read(ref CachedBytes);

    /// <summary>Starts a new measurement of <see cref="Peak"/>.</summary>
    public void ResetPeak() => Interlocked.Exchange(ref PeakBytes, InUse);

    /// <summary>Returns whether so many bytes more would exceed the limit.</summary>
    internal bool Exceeds(long size) => Limit is { } limit && size > limit - InUse - Cached;

    internal void Use(long size)
    {
        long now = Interlocked.Add(ref InUseBytes, size);
        for (long peak = Peak; now > peak; peak = Peak)
        {
            if (Interlocked.CompareExchange(ref PeakBytes, now, peak) == peak)
                return;
        }
    }
}
