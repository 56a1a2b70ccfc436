namespace Spectral.Kernels.Driver;

/// <summary>
/// Device memory ran out, also after what the pool kept for reuse went back to the driver. All numbers are bytes.
/// </summary>
public sealed class OutOfDeviceMemoryException : CudaException
{
    internal OutOfDeviceMemoryException(string call, int code, string name, string text, string doing)
        : base(call, code, name, text, doing) { }

    /// <summary>The device's name.</summary>
    public required string Device { get; init; }

    /// <summary>What was asked for.</summary>
    public required long Requested { get; init; }

    /// <summary>What tensors held.</summary>
    public required long InUse { get; init; }

    /// <summary>
    /// What the driver had left; the rest is in tensors, in memory of captured graphs, or in other processes.
    /// </summary>
    public required long Free { get; init; }

    /// <summary>What the device has in all.</summary>
    public required long Total { get; init; }
}
