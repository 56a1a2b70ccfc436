using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>Starts a CUDA library on a device and owns the handle that its functions take.</summary>
/// <param name="device">The device.</param>
/// <param name="functions">The library.</param>
/// <param name="kind">What <see cref="LiveObjects"/> counts the handle as.</param>
/// <param name="suffix">Ending of the functions that make and free a handle and set its stream.</param>
internal sealed unsafe class LibraryHandle(Device device, LibraryFunctions functions, string kind, string suffix = "")
    : DriverHandle(device.Api, device.Context, Start(device, functions, suffix), kind)
{
    private readonly delegate* unmanaged<nint, nint, int> _setStream = (delegate* unmanaged<nint, nint, int>)
        functions["SetStream" + suffix];
    private readonly delegate* unmanaged<nint, int> _destroy = (delegate* unmanaged<nint, int>)
        functions["Destroy" + suffix];
    private nint _stream = -1; // none so far: 0 is the default stream

    /// <summary>
    /// Makes the device's context current and returns the handle, whose calls go to the device's current stream.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The device or the handle was disposed.</exception>
    public nint Begin()
    {
        device.Activate();
        nint stream = device.Stream.Handle;
        if (stream != _stream)
        {
            functions.Check(_setStream(Value, stream), $"choosing the stream of {functions.Name}");
            _stream = stream;
        }

        return Value;
    }

    protected override int Free(nint value) => _destroy(value);

    private static nint Start(Device device, LibraryFunctions functions, string suffix)
    {
        device.Activate();
        var create = (delegate* unmanaged<nint*, int>)functions["Create" + suffix];
        nint handle;
        functions.Check(create(&handle), $"starting {functions.Name}");
        return handle;
    }
}
