using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// A contiguous row-major array on a device: a handle on a counted block of the device's pool. Several handles may
/// share a block (<see cref="Share"/>, <see cref="View"/>, <see cref="Rows"/>); each is disposed on its own and the
/// last gives the block back. Using a disposed handle throws, disposing it twice does nothing.
/// </summary>
public sealed unsafe class Tensor : IDisposable
{
    private readonly ulong _pointer;
    private MemoryBlock? _block;

    private Tensor(Device device, MemoryBlock block, ulong pointer, Shape shape, DType type)
    {
        Device = device;
        _block = block;
        _pointer = pointer;
        Shape = shape;
        DType = type;
        LiveObjects.Add("tensor", 1);
    }

    /// <summary>Where it lives.</summary>
    public Device Device { get; }

    /// <summary>Element type.</summary>
    public DType DType { get; }

    /// <summary>Dimensions, outermost first.</summary>
    public Shape Shape { get; }

    /// <summary>Number of elements.</summary>
    public long Count => Shape.Count;

    /// <summary>Bytes of its elements.</summary>
    public long Bytes => Count * DType.Size();

    /// <summary>True once this handle has been disposed.</summary>
    public bool IsDisposed => _block is null;

    /// <summary>Device address of the first element (CUdeviceptr).</summary>
    /// <exception cref="ObjectDisposedException">This handle was disposed.</exception>
    public ulong Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_block is null, this);
            return _pointer;
        }
    }

    /// <summary>Dimension <paramref name="index"/>.</summary>
    public int Dim(int index) => Shape[index];

    /// <summary>Uninitialised memory of the given shape.</summary>
    /// <exception cref="CudaException">Device memory ran out.</exception>
    public static Tensor Empty(Device device, Shape shape, DType type = DType.F32)
    {
        MemoryBlock block = device.Allocate(Math.Max(1, shape.Count * type.Size()));
        return new Tensor(device, block, block.Pointer, shape, type);
    }

    /// <summary>A tensor of zeros.</summary>
    public static Tensor Zeros(Device device, Shape shape, DType type = DType.F32)
    {
        Tensor tensor = Empty(device, shape, type);
        tensor.Clear();
        return tensor;
    }

    /// <summary>A tensor with these values, rounded to <paramref name="type"/> (F32, BF16 or F64).</summary>
    public static Tensor From(Device device, ReadOnlySpan<float> values, Shape shape, DType type = DType.F32)
    {
        Tensor tensor = Empty(device, shape, type);
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>An I32 tensor with these values.</summary>
    public static Tensor From(Device device, ReadOnlySpan<int> values, Shape shape)
    {
        Tensor tensor = Empty(device, shape, DType.I32);
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>
    /// Memory that other code owns and keeps alive while the tensor is used; disposing the tensor leaves it alone.
    /// </summary>
    /// <param name="device">The device the memory is on.</param>
    /// <param name="pointer">Device address (CUdeviceptr), aligned to 16 bytes.</param>
    /// <param name="shape">Its dimensions, row-major and contiguous.</param>
    /// <param name="type">Element type.</param>
    public static Tensor FromPointer(Device device, ulong pointer, Shape shape, DType type)
    {
        if (pointer == 0 || pointer % 16 != 0)
        {
            throw new ArgumentException(
                $"device address 0x{pointer:x}: expected one that is not 0 and is a multiple of 16",
                nameof(pointer)
            );
        }

        return new Tensor(
            device,
            new MemoryBlock(null, null, pointer, shape.Count * type.Size(), 0, null),
            pointer,
            shape,
            type
        );
    }

    /// <summary>Another handle on the same elements.</summary>
    public Tensor Share() => View(Shape);

    /// <summary>Another handle on the same elements with other dimensions.</summary>
    /// <exception cref="ArgumentException">The number of elements differs.</exception>
    public Tensor View(Shape shape)
    {
        if (shape.Count != Count)
        {
            throw new ArgumentException(
                $"shape {shape} has {shape.Count} elements, the tensor {Shape} has {Count}",
                nameof(shape)
            );
        }

        return Alias(Pointer, shape);
    }

    /// <summary>
    /// Another handle on <paramref name="count"/> entries of the first dimension, from <paramref name="start"/>.
    /// </summary>
    public Tensor Rows(int start, int count)
    {
        if (Shape.Rank == 0 || start < 0 || count < 0 || start > Shape[0] - count)
        {
            throw new ArgumentOutOfRangeException(
                nameof(start),
                $"rows {start} to {start + count} of a tensor {Shape}"
            );
        }

        long row = Shape[0] == 0 ? 0 : Count / Shape[0];
        Shape shape = Shape.Rank switch
        {
            1 => count,
            2 => (count, Shape[1]),
            3 => (count, Shape[1], Shape[2]),
            _ => (count, Shape[1], Shape[2], Shape[3]),
        };
        return Alias(Pointer + (ulong)(start * row * DType.Size()), shape);
    }

    /// <summary>Copies host values in, rounded to this tensor's type.</summary>
    public void CopyFrom(ReadOnlySpan<float> values)
    {
        Expect(values.Length);
        switch (DType)
        {
            case DType.F32:
                Upload(values);
                break;
            case DType.BF16:
                Upload<ushort>(Convert(values, BFloat16.FromSingle));
                break;
            case DType.F64:
                Upload<double>(Convert(values, value => (double)value));
                break;
            default:
                throw Unfit("float");
        }
    }

    /// <summary>Copies host integers in.</summary>
    public void CopyFrom(ReadOnlySpan<int> values)
    {
        Expect(values.Length);
        if (DType != DType.I32)
            throw Unfit("int");
        Upload(values);
    }

    /// <summary>Copies bytes as they are, in this tensor's own element type.</summary>
    public void CopyFrom(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Bytes)
        {
            throw new ArgumentException(
                $"{bytes.Length} bytes for a tensor {Shape} of {DType} ({Bytes} bytes)",
                nameof(bytes)
            );
        }

        Upload(bytes);
    }

    /// <summary>Copies another tensor of the same device, type and number of elements.</summary>
    public void CopyFrom(Tensor source)
    {
        if (source.DType != DType || source.Count != Count || source.Device != Device)
        {
            throw new ArgumentException(
                $"a tensor {source.Shape} of {source.DType} on {source.Device} for one {Shape} of {DType} on {Device}",
                nameof(source)
            );
        }

        if (Count == 0)
            return;
        DriverApi api = Device.Activate();
        api.Check(
            api.MemcpyDtoDAsync(Pointer, source.Pointer, (nuint)Bytes, Device.Stream.Handle),
            $"copying {Bytes} bytes on {Device}"
        );
    }

    /// <summary>Copies the values to the host, after the current stream's work.</summary>
    public void CopyTo(Span<float> values)
    {
        Expect(values.Length);
        switch (DType)
        {
            case DType.F32:
                Download(values);
                break;
            case DType.BF16:
                Convert<ushort, float>(Downloaded<ushort>(), BFloat16.ToSingle).CopyTo(values);
                break;
            case DType.F64:
                Convert<double, float>(Downloaded<double>(), value => (float)value).CopyTo(values);
                break;
            default:
                throw Unfit("float");
        }
    }

    /// <summary>The values on the host, after the current stream's work.</summary>
    public float[] ToArray()
    {
        float[] values = new float[Count];
        CopyTo(values);
        return values;
    }

    /// <summary>The values of an F64 tensor.</summary>
    public double[] ToDoubleArray() => DType == DType.F64 ? Downloaded<double>() : throw Unfit("double");

    /// <summary>The values of an I32 tensor.</summary>
    public int[] ToInt32Array() => DType == DType.I32 ? Downloaded<int>() : throw Unfit("int");

    /// <summary>The bytes of the elements in their own type.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        if (bytes.Length != Bytes)
        {
            throw new ArgumentException(
                $"{bytes.Length} bytes for a tensor {Shape} of {DType} ({Bytes} bytes)",
                nameof(bytes)
            );
        }

        Download(bytes);
    }

    /// <summary>Sets every byte to zero.</summary>
    public void Clear()
    {
        if (Count == 0)
            return;
        DriverApi api = Device.Activate();
        api.Check(
            api.MemsetD8Async(Pointer, 0, (nuint)Bytes, Device.Stream.Handle),
            $"clearing {Bytes} bytes on {Device}"
        );
    }

    /// <summary>Lets go of the memory. A second call does nothing.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _block, null) is not { } block)
            return;
        LiveObjects.Add("tensor", -1);
        block.Release();
    }

    /// <summary>Type, dimensions and device.</summary>
    public override string ToString() => $"{DType} {Shape} on {Device}";

    private Tensor Alias(ulong pointer, Shape shape)
    {
        _block!.AddReference();
        return new Tensor(Device, _block, pointer, shape, DType);
    }

    private void Expect(int length, [CallerArgumentExpression(nameof(length))] string what = "")
    {
        if (length != Count)
            throw new ArgumentException($"{length} values for a tensor {Shape} of {Count}", what);
    }

    private InvalidOperationException Unfit(string wanted) =>
        new($"a tensor of {DType} does not convert to or from {wanted}");

    private static TTo[] Convert<TFrom, TTo>(ReadOnlySpan<TFrom> values, Func<TFrom, TTo> convert)
    {
        var result = new TTo[values.Length];
        for (int i = 0; i < values.Length; i++)
            result[i] = convert(values[i]);
        return result;
    }

    private T[] Downloaded<T>()
        where T : unmanaged
    {
        var values = new T[Count];
        Download<T>(values);
        return values;
    }

    private void Upload<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        if (values.IsEmpty)
            return;
        RefuseWhileCapturing("from the host");
        DriverApi api = Device.Activate();
        fixed (T* source = &MemoryMarshal.GetReference(values))
        {
            api.Check(
                api.MemcpyHtoDAsync(Pointer, source, (nuint)Bytes, Device.Stream.Handle),
                $"copying {Bytes} bytes to {Device}"
            );
            // Pageable memory is staged by the driver, but only a pinned page may move after the call: wait before the
            // pin goes.
            if (Bytes > PageableStaging)
                api.Check(api.StreamSynchronize(Device.Stream.Handle), $"copying {Bytes} bytes to {Device}");
        }
    }

    // Host-to-device copies of up to 64 KB return after the driver has taken its own copy of the source.
    private const long PageableStaging = 64 << 10;

    // The driver would record the copy with the address of host memory that is gone when it is replayed.
    private void RefuseWhileCapturing(string direction)
    {
        if (Device.IsCapturing)
        {
            throw new InvalidOperationException(
                $"copying {Bytes} bytes {direction} while a graph is captured: a replay cannot do it; "
                    + "copy before or after, to or from memory that outlives the graph"
            );
        }
    }

    private void Download<T>(Span<T> values)
        where T : unmanaged
    {
        if (values.IsEmpty)
            return;
        RefuseWhileCapturing("to the host");
        DriverApi api = Device.Activate();
        fixed (T* destination = &MemoryMarshal.GetReference(values))
        {
            api.Check(
                api.MemcpyDtoHAsync(destination, Pointer, (nuint)Bytes, Device.Stream.Handle),
                $"copying {Bytes} bytes from {Device}"
            );
            api.Check(api.StreamSynchronize(Device.Stream.Handle), $"copying {Bytes} bytes from {Device}");
        }
    }
}
