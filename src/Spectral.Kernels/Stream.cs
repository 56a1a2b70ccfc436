using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>A queue of work on a device; work on one stream runs in order.</summary>
public sealed unsafe class Stream : IDisposable
{
    private readonly StreamHandle _handle;

    internal Stream(Device device, StreamHandle handle)
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
    public static Stream Create(Device device)
    {
        DriverApi api = device.Activate();
        nint stream;
        api.Check(api.StreamCreate(&stream, 1), $"creating a stream on {device.Name}");
        return new Stream(device, new StreamHandle(api, device.Context, stream, owned: true));
    }

    /// <summary>Wraps a CUstream that belongs to somebody else; disposing the result leaves it alone.</summary>
    public static Stream FromHandle(Device device, nint handle) => new(device, new StreamHandle(device.Api, device.Context, handle, owned: false));

    /// <summary>Waits until all work queued so far is done; reports errors of earlier launches.</summary>
    /// <exception cref="CudaException">A kernel or copy on this stream failed.</exception>
    public void Synchronize()
    {
        DriverApi api = Device.Activate();
        api.Check(api.StreamSynchronize(Handle), $"waiting for a stream of {Device.Name}");
    }

    /// <summary>Makes later work on this stream wait for <paramref name="marker"/>.</summary>
    public void Wait(Event marker)
    {
        DriverApi api = Device.Activate();
        api.Check(api.StreamWaitEvent(Handle, marker.Handle, 0), $"making a stream of {Device.Name} wait");
    }

    /// <summary>Gives the stream back to the driver, unless it is borrowed. A second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();
}

/// <summary>A point in a stream's work: to wait for, or to measure time between.</summary>
public sealed unsafe class Event : IDisposable
{
    private readonly Device _device;
    private readonly EventHandle _handle;

    /// <summary>A new event, not yet recorded.</summary>
    public Event(Device device)
    {
        DriverApi api = device.Activate();
        nint handle;
        api.Check(api.EventCreate(&handle, 0), $"creating an event on {device.Name}");
        _device = device;
        _handle = new EventHandle(api, device.Context, handle);
    }

    /// <summary>The driver's handle (CUevent).</summary>
    public nint Handle => _handle.Value;

    /// <summary>Marks the end of the work queued on the device's current stream so far.</summary>
    public void Record()
    {
        DriverApi api = _device.Activate();
        api.Check(api.EventRecord(Handle, _device.Stream.Handle), $"recording an event on {_device.Name}");
    }

    /// <summary>Waits until the recorded point has been reached.</summary>
    public void Synchronize()
    {
        DriverApi api = _device.Activate();
        api.Check(api.EventSynchronize(Handle), $"waiting for an event on {_device.Name}");
    }

    /// <summary>Milliseconds of device time from <paramref name="start"/> to this event; both must have been reached.</summary>
    public float MillisecondsSince(Event start)
    {
        DriverApi api = _device.Activate();
        float milliseconds;
        api.Check(api.EventElapsedTime(&milliseconds, start.Handle, Handle), $"timing events on {_device.Name}");
        return milliseconds;
    }

    /// <summary>Gives the event back to the driver. A second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();
}
