using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>Marks a point in the work of a stream, to wait for it or to measure the time between two points.</summary>
/// <example>
/// <code>
/// using var start = new DeviceEvent(device);
/// using var end = new DeviceEvent(device);
/// start.Record();
/// Gemm.Run(x, Gemm.Transposed(weight), y);
/// end.Record();
/// end.Synchronize();
/// float milliseconds = end.MillisecondsSince(start);
/// </code>
/// </example>
public sealed unsafe class DeviceEvent : IDisposable
{
    private readonly Device _device;
    private readonly EventHandle _handle;

    /// <summary>Creates an event that is not recorded yet.</summary>
    public DeviceEvent(Device device)
    {
        DriverApi api = device.Activate();
        nint handle;
        api.Check(api.EventCreate(&handle, 0), $"creating an event on {device.Name}");
        _device = device;
        _handle = new EventHandle(api, device.Context, handle);
    }

    /// <summary>Handle of the event (CUevent) for other CUDA code; it stays owned by this object.</summary>
    public nint Handle => _handle.Value;

    /// <summary>Marks the end of the work that is queued on the device's current stream so far.</summary>
    public void Record()
    {
        DriverApi api = _device.Activate();
        api.Check(api.EventRecord(Handle, _device.Stream.Handle), $"recording an event on {_device.Name}");
    }

    /// <summary>Waits until the recorded point is reached.</summary>
    public void Synchronize()
    {
        DriverApi api = _device.Activate();
        api.Check(api.EventSynchronize(Handle), $"waiting for an event on {_device.Name}");
    }

    /// <summary>
    /// Returns the device time from <paramref name="start"/> to this event, in milliseconds. Both must have been
    /// reached.
    /// </summary>
    public float MillisecondsSince(DeviceEvent start)
    {
        DriverApi api = _device.Activate();
        float milliseconds;
        api.Check(api.EventElapsedTime(&milliseconds, start.Handle, Handle), $"timing events on {_device.Name}");
        return milliseconds;
    }

    /// <summary>Destroys the event. A second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();
}
