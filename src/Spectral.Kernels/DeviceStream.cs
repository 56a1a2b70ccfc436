using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>A queue of work on a device; work on one stream runs in order.</summary>
public sealed unsafe class DeviceStream : IDisposable
{
    private readonly StreamHandle _handle;

    internal DeviceStream(Device device, StreamHandle handle)
    {
        Device = device;
        _handle = handle;
    }

    /// <summary>The device whose work it orders.</summary>
    public Device Device { get; }

    /// <summary>The driver's handle (CUstream), for other CUDA code; it stays owned by this object.</summary>
    public nint Handle => _handle.Value;

    internal bool IsDisposed => _handle.IsClosed;

    /// <summary>A new stream that does not wait for the default one.</summary>
    public static DeviceStream Create(Device device)
    {
        DriverApi api = device.Activate();
        nint stream;
        api.Check(api.StreamCreate(&stream, 1), $"creating a stream on {device.Name}");
        return new DeviceStream(device, new StreamHandle(api, device.Context, stream, owned: true));
    }

    /// <summary>Wraps a CUstream that belongs to somebody else; disposing the result leaves it alone.</summary>
    public static DeviceStream FromHandle(Device device, nint handle) =>
        new(device, new StreamHandle(device.Api, device.Context, handle, owned: false));

    /// <summary>Waits until all work queued so far is done; reports errors of earlier launches.</summary>
    /// <exception cref="CudaException">A kernel or copy on this stream failed.</exception>
    public void Synchronize()
    {
        DriverApi api = Device.Activate();
        api.Check(api.StreamSynchronize(Handle), $"waiting for a stream of {Device.Name}");
    }

    /// <summary>Makes later work on this stream wait for <paramref name="marker"/>.</summary>
    public void Wait(DeviceEvent marker)
    {
        DriverApi api = Device.Activate();
        api.Check(api.StreamWaitEvent(Handle, marker.Handle, 0), $"making a stream of {Device.Name} wait");
    }

    /// <summary>Gives the stream back to the driver, unless it is borrowed. A second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();
}
