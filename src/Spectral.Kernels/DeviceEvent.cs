using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>A point in a stream's work: to wait for, or to measure time between.</summary>
public sealed unsafe class DeviceEvent : IDisposable
{
    private readonly Device _device;
    private readonly EventHandle _handle;

    /// <summary>A new event, not yet recorded.</summary>
    public DeviceEvent(Device device)
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

    /// <summary>
    /// Milliseconds of device time from <paramref name="start"/> to this event; both must have been reached.
    /// </summary>
    public float MillisecondsSince(DeviceEvent start)
    {
        DriverApi api = _device.Activate();
        float milliseconds;
        api.Check(api.EventElapsedTime(&milliseconds, start.Handle, Handle), $"timing events on {_device.Name}");
        return milliseconds;
    }

    /// <summary>Gives the event back to the driver. A second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();
}
