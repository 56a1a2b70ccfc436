using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Queues work on a device. Work on one stream runs in order; different streams may run at the same time.
/// </summary>
/// <example>
/// <code>
/// using var stream = DeviceStream.Create(device);
/// using (device.Use(stream))
///     Gemm.Run(x, Gemm.Transposed(weight), y); // queued on the new stream
/// stream.Synchronize();
/// </code>
/// </example>
public sealed unsafe class DeviceStream : IDisposable
{
    private readonly StreamHandle _handle;

    internal DeviceStream(Device device, StreamHandle handle)
    {
        Device = device;
        _handle = handle;
    }

    /// <summary>Device that the stream's work runs on.</summary>
    public Device Device { get; }

    /// <summary>Handle of the stream (CUstream) for other CUDA code; it stays owned by this object.</summary>
    public nint Handle => _handle.Value;

    internal bool IsDisposed => _handle.IsClosed;

    /// <summary>Creates a stream that does not wait for the default one.</summary>
    public static DeviceStream Create(Device device)
    {
        DriverApi api = device.Activate();
        nint stream;
        api.Check(api.StreamCreate(&stream, 1), $"creating a stream on {device.Name}");
        return new DeviceStream(device, new StreamHandle(api, device.Context, stream, owned: true));
    }

    /// <summary>Wraps a stream (CUstream) that other code owns; disposing the result leaves it alone.</summary>
    public static DeviceStream FromHandle(Device device, nint handle) =>
        new(device, new StreamHandle(device.Api, device.Context, handle, owned: false));

    /// <summary>Waits until all work queued so far is done, and reports errors of earlier launches.</summary>
    /// <exception cref="CudaException">A kernel or copy on this stream failed.</exception>
    public void Synchronize()
    {
        DriverApi api = Device.Activate();
        api.Check(api.StreamSynchronize(Handle), $"waiting for a stream of {Device.Name}");
    }

    /// <summary>Makes work that is queued on this stream from now on wait for <paramref name="marker"/>.</summary>
    public void Wait(DeviceEvent marker)
    {
        DriverApi api = Device.Activate();
        api.Check(api.StreamWaitEvent(Handle, marker.Handle, 0), $"making a stream of {Device.Name} wait");
    }

    /// <summary>Destroys the stream, unless other code owns it. A second call does nothing.</summary>
    public void Dispose()
    {
        if (_handle.IsClosed)
            return;
        nint handle = Handle;
        _handle.Dispose();
        if (_handle.IsOwned)
            Device.Forget(handle);
    }
}
