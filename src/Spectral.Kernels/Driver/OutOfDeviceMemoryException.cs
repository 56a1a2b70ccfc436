namespace Spectral.Kernels.Driver;

/// <summary>
/// Reports that device memory ran out, even after the memory that the pool kept for reuse was returned to the driver.
/// All numbers are bytes.
/// </summary>
public sealed class OutOfDeviceMemoryException : CudaException
{
    internal OutOfDeviceMemoryException(string call, int code, string name, string text, string doing)
        : base(call, code, name, text, doing) { }

    /// <summary>Name of the device that ran out of memory.</summary>
    public required string Device { get; init; }

    /// <summary>Bytes that were asked for.</summary>
    public required long Requested { get; init; }

    /// <summary>Bytes that tensors held.</summary>
    public required long InUse { get; init; }

    /// <summary>
    /// Bytes that the driver had left; the rest is held by tensors, captured graphs or other processes.
    /// </summary>
    public required long Free { get; init; }

    /// <summary>Bytes of memory that the device has in all, or may hold if there is a limit.</summary>
    public required long Total { get; init; }

    /// <summary>Whether <see cref="Total"/> is a limit that was set, below what the device has.</summary>
    public required bool IsLimited { get; init; }
}
