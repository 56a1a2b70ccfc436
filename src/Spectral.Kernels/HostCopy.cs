using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>Copies elements between host memory and tensors, in the tensors' own types.</summary>
internal static unsafe class HostCopy
{
    // Copies of up to 64 KB from pageable host memory return after the driver has taken its own copy of the source.
    private const long PageableStaging = 64 << 10;

    /// <summary>Copies host values to a tensor, which they fill.</summary>
    /// <exception cref="InvalidOperationException">A graph is being captured.</exception>
    public static void Upload<T>(ReadOnlySpan<T> values, Tensor tensor)
        where T : unmanaged
    {
        if (values.IsEmpty)
            return;
        (Device device, long bytes) = (tensor.Device, tensor.Bytes);
        RefuseWhileCapturing(tensor, "from the host");
        DriverApi api = device.Activate();
        fixed (T* source = &MemoryMarshal.GetReference(values))
        {
            api.Check(
                api.MemcpyHtoDAsync(tensor.Pointer, source, (nuint)bytes, device.Stream.Handle),
                $"copying {bytes} bytes to {device}"
            );
            // A larger copy may still read the source after the call: wait before it is unpinned.
            if (bytes > PageableStaging)
                api.Check(api.StreamSynchronize(device.Stream.Handle), $"copying {bytes} bytes to {device}");
        }
    }

    /// <summary>Copies a tensor to host memory, which it fills, after waiting for the current stream.</summary>
    /// <exception cref="InvalidOperationException">A graph is being captured.</exception>
    public static void Download<T>(Tensor tensor, Span<T> values)
        where T : unmanaged
    {
        if (values.IsEmpty)
            return;
        (Device device, long bytes) = (tensor.Device, tensor.Bytes);
        RefuseWhileCapturing(tensor, "to the host");
        DriverApi api = device.Activate();
        fixed (T* destination = &MemoryMarshal.GetReference(values))
        {
            api.Check(
                api.MemcpyDtoHAsync(destination, tensor.Pointer, (nuint)bytes, device.Stream.Handle),
                $"copying {bytes} bytes from {device}"
            );
            api.Check(api.StreamSynchronize(device.Stream.Handle), $"copying {bytes} bytes from {device}");
        }
    }

    /// <summary>Returns the elements of a tensor, after waiting for the current stream.</summary>
    /// <exception cref="InvalidOperationException">A graph is being captured.</exception>
    public static T[] Download<T>(Tensor tensor)
        where T : unmanaged
    {
        var values = new T[tensor.Count];
        Download<T>(tensor, values);
        return values;
    }

    // The driver would record the address of host memory, which is gone by the time of a replay.
    private static void RefuseWhileCapturing(Tensor tensor, string direction)
    {
        if (tensor.Device.IsCapturing)
        {
            throw new InvalidOperationException(
                $"copying {tensor.Bytes} bytes {direction} while a graph is captured: a replay cannot do it; "
                    + "copy before or after, to or from memory that outlives the graph"
            );
        }
    }
}
