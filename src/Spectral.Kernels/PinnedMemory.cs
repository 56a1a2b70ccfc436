using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>Owns page-locked host memory, to and from which the device copies without the host's help.</summary>
internal sealed unsafe class PinnedMemory : DriverHandle
{
    private readonly DeviceStream _stream;

    /// <summary>Allocates the memory.</summary>
    /// <param name="device">The device that copies.</param>
    /// <param name="bytes">The size.</param>
    public PinnedMemory(Device device, long bytes)
        : base(device.Api, device.Context, Allocate(device, bytes), "pinned memory") => _stream = device.Stream;

    /// <summary>Queues a copy of device memory to this memory.</summary>
    public void CopyFrom(ulong pointer, long bytes)
    {
        DriverApi api = _stream.Device.Activate();
        api.Check(
            api.MemcpyDtoHAsync((void*)Value, pointer, (nuint)bytes, _stream.Handle),
            $"copying {bytes} bytes from {_stream.Device}"
        );
    }

    /// <summary>Queues a copy of this memory to device memory.</summary>
    public void CopyTo(ulong pointer, long bytes)
    {
        DriverApi api = _stream.Device.Activate();
        api.Check(
            api.MemcpyHtoDAsync(pointer, (void*)Value, (nuint)bytes, _stream.Handle),
            $"copying {bytes} bytes to {_stream.Device}"
        );
    }

    // A copy that is still queued needs the memory.
    protected override int Free(nint value)
    {
        if (!_stream.IsDisposed)
            Api.StreamSynchronize(_stream.Handle);
        return Api.MemFreeHost(value);
    }

    private static nint Allocate(Device device, long bytes)
    {
        DriverApi api = device.Activate();
        nint pointer;
        api.Check(api.MemHostAlloc(&pointer, (nuint)bytes, 0), $"allocating {bytes:N0} bytes of pinned host memory");
        return pointer;
    }
}
