using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>Owns the handle that the functions of a CUDA library take.</summary>
/// <param name="device">The device.</param>
/// <param name="functions">The library.</param>
/// <param name="kind">What <see cref="LiveObjects"/> counts the handle as.</param>
/// <param name="suffix">Ending of the functions that free a handle and set its stream.</param>
internal sealed unsafe class LibraryHandle(Device device, LibraryFunctions functions, string kind, string suffix = "")
    : DriverHandle(device.Api, device.Context, functions.Handle, kind)
{
    private readonly delegate* unmanaged<nint, nint, int> _setStream = (delegate* unmanaged<nint, nint, int>)
        functions["SetStream" + suffix];
    private readonly delegate* unmanaged<nint, int> _destroy = (delegate* unmanaged<nint, int>)
        functions["Destroy" + suffix];
    private nint _stream = -1; // none so far: 0 is the default stream

    /// <summary>What to do each time that the handle was given a stream; null for nothing.</summary>
    public Action? StreamChanged { get; init; }

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
            _stream = -1;
            functions.Check(_setStream(Value, stream), $"choosing the stream of {functions.Name}");
            StreamChanged?.Invoke();
            _stream = stream;
        }

        return Value;
    }

    /// <summary>Makes the next call set its stream, also if that has the handle of one that is gone.</summary>
    public void ForgetStream() => _stream = -1;

    protected override int Free(nint value) => _destroy(value);
}
