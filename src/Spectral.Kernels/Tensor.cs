using System.Runtime.CompilerServices;
using Spectral.Kernels.Driver;

namespace Spectral.Kernels;

/// <summary>
/// Holds a contiguous row-major array on a device: a handle to a block of the device's memory pool. Several handles may
/// share a block (<see cref="Share"/>, <see cref="View"/>, <see cref="Rows"/>). Each is disposed on its own, and the
/// last returns the block. Using a disposed handle throws; disposing it twice does nothing.
/// </summary>
/// <example>
/// <code>
/// using Tensor x = Tensor.From(device, [1f, 2, 3, 4, 5, 6], (2, 3));
/// using Tensor last = x.Rows(1, 1); // the same memory
/// last.Clear();
/// float[] values = x.ToArray(); // 1, 2, 3, 0, 0, 0
/// </code>
/// </example>
public sealed unsafe class Tensor : IDisposable
{
    private readonly ulong _offset; // bytes from the start of the block, which may move
    private MemoryBlock? _block;

    private Tensor(Device device, MemoryBlock block, ulong offset, Shape shape, DType type)
    {
        Device = device;
        _block = block;
        _offset = offset;
        Shape = shape;
        DType = type;
        LiveObjects.Add("tensor", 1);
    }

    /// <summary>Device whose memory holds the elements.</summary>
    public Device Device { get; }

    /// <summary>Type of the elements.</summary>
    public DType DType { get; }

    /// <summary>Dimensions of the array, outermost first.</summary>
    public Shape Shape { get; }

    /// <summary>Number of elements in the array.</summary>
    public long Count => Shape.Count;

    /// <summary>Size of all elements in bytes.</summary>
    public long Bytes => Count * DType.Size();

    /// <summary>Whether this handle has been disposed.</summary>
    public bool IsDisposed => _block is null;

    /// <summary>
    /// Device address of the first element (CUdeviceptr), valid until this handle is disposed or its memory is given
    /// up by <see cref="Offload"/>, from which asking for the address brings it back.
    /// </summary>
    /// <exception cref="ObjectDisposedException">This handle was disposed.</exception>
    public ulong Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_block is null, this);
            return _block.Pointer + _offset;
        }
    }

    /// <summary>Returns the length of dimension <paramref name="index"/>; 0 is the outermost.</summary>
    public int Dim(int index) => Shape[index];

    /// <summary>Allocates a tensor whose elements are not initialized.</summary>
    /// <exception cref="CudaException">Device memory ran out.</exception>
    public static Tensor Empty(Device device, Shape shape, DType type = DType.F32)
    {
        MemoryBlock block = device.Allocate(Math.Max(1, shape.Count * type.Size()));
        return new Tensor(device, block, 0, shape, type);
    }

    /// <summary>Allocates a tensor and fills it with zeros.</summary>
    public static Tensor Zeros(Device device, Shape shape, DType type = DType.F32)
    {
        Tensor tensor = Empty(device, shape, type);
        tensor.Clear();
        return tensor;
    }

    /// <summary>
    /// Allocates a tensor and copies values into it, rounded to <paramref name="type"/> (F32, BF16 or F64).
    /// </summary>
    public static Tensor From(Device device, ReadOnlySpan<float> values, Shape shape, DType type = DType.F32)
    {
        Tensor tensor = Empty(device, shape, type);
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>Allocates an I32 tensor and copies values into it.</summary>
    public static Tensor From(Device device, ReadOnlySpan<int> values, Shape shape)
    {
        Tensor tensor = Empty(device, shape, DType.I32);
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>
    /// Makes a tensor of memory that other code owns. That code keeps the memory alive while the tensor is used;
    /// disposing the tensor leaves the memory alone.
    /// </summary>
    /// <param name="device">The device that the memory is on.</param>
    /// <param name="pointer">Device address of the first element (CUdeviceptr), aligned to 16 bytes.</param>
    /// <param name="shape">Dimensions of the array, which is row-major and contiguous.</param>
    /// <param name="type">Type of the elements.</param>
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
            0,
            shape,
            type
        );
    }

    /// <summary>Makes another handle to the same elements.</summary>
    public Tensor Share() => View(Shape);

    /// <summary>Makes another handle to the same elements with other dimensions.</summary>
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

        return Alias(0, shape, DType);
    }

    /// <summary>Makes another handle to the same memory, whose bytes are read as elements of another type.</summary>
    /// <exception cref="ArgumentException">The number of bytes differs.</exception>
    public Tensor As(DType type, Shape shape)
    {
        if (shape.Count * type.Size() != Bytes)
            throw new ArgumentException($"{type} {shape} of {Bytes} bytes, expected as many bytes", nameof(shape));
        return Alias(0, shape, type);
    }

    /// <summary>
    /// Makes another handle to <paramref name="count"/> entries of the first dimension, from <paramref name="start"/>
    /// on.
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
        return Alias((ulong)(start * row * DType.Size()), shape, DType);
    }

    /// <summary>Copies values from the host, rounded to the tensor's type.</summary>
    public void CopyFrom(ReadOnlySpan<float> values)
    {
        Expect(values.Length);
        switch (DType)
        {
            case DType.F32:
                HostCopy.Upload(values, this);
                break;
            case DType.BF16:
                HostCopy.Upload<ushort>(Convert(values, BFloat16.FromSingle), this);
                break;
            case DType.F64:
                HostCopy.Upload<double>(Convert(values, value => (double)value), this);
                break;
            default:
                throw Unfit("float");
        }
    }

    /// <summary>Copies integers from the host into an I32 tensor.</summary>
    public void CopyFrom(ReadOnlySpan<int> values)
    {
        Expect(values.Length);
        if (DType != DType.I32)
            throw Unfit("int");
        HostCopy.Upload(values, this);
    }

    /// <summary>Copies bytes from the host as they are; they must be elements of the tensor's own type.</summary>
    public void CopyFrom(ReadOnlySpan<byte> bytes)
    {
        ExpectBytes(bytes.Length);
        HostCopy.Upload(bytes, this);
    }

    /// <summary>Copies the elements of another tensor of the same device, type and number of elements.</summary>
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

    /// <summary>Copies the values to the host as single precision, after waiting for the current stream.</summary>
    public void CopyTo(Span<float> values)
    {
        Expect(values.Length);
        switch (DType)
        {
            case DType.F32:
                HostCopy.Download(this, values);
                break;
            case DType.BF16:
                Convert<ushort, float>(HostCopy.Download<ushort>(this), BFloat16.ToSingle).CopyTo(values);
                break;
            case DType.F64:
                Convert<double, float>(HostCopy.Download<double>(this), value => (float)value).CopyTo(values);
                break;
            default:
                throw Unfit("float");
        }
    }

    /// <summary>Returns the values as single precision, after waiting for the current stream.</summary>
    public float[] ToArray()
    {
        float[] values = new float[Count];
        CopyTo(values);
        return values;
    }

    /// <summary>Returns the values of an F64 tensor, after waiting for the current stream.</summary>
    public double[] ToDoubleArray() => DType == DType.F64 ? HostCopy.Download<double>(this) : throw Unfit("double");

    /// <summary>Returns the values of an I32 tensor, after waiting for the current stream.</summary>
    public int[] ToInt32Array() => DType == DType.I32 ? HostCopy.Download<int>(this) : throw Unfit("int");

    /// <summary>
    /// Copies the bytes of the elements, in the tensor's own type, to the host, after waiting for the current stream.
    /// </summary>
    public void CopyTo(Span<byte> bytes)
    {
        ExpectBytes(bytes.Length);
        HostCopy.Download(this, bytes);
    }

    /// <summary>
    /// Moves the block of memory that the elements are in to page-locked host memory, and returns the device memory to
    /// the pool. The next use of any handle to the block brings it back, bit for bit, to another address. The copies
    /// are queued on the current stream; the host memory is kept for the next time, until the last handle is disposed.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// The memory belongs to other code, or a graph is being captured, whose replays would not move it.
    /// </exception>
    public void Offload()
    {
        ObjectDisposedException.ThrowIf(_block is null, this);
        if (Device.IsCapturing)
            throw new InvalidOperationException("memory cannot be moved to the host while a graph is captured");
        _block.Offload(Device);
    }

    /// <summary>Sets every element to zero.</summary>
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

    /// <summary>
    /// Releases this handle; the last handle of a block returns the memory. A second call does nothing.
    /// </summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _block, null) is not { } block)
            return;
        LiveObjects.Add("tensor", -1);
        block.Release();
    }

    /// <summary>Writes type, dimensions and device as errors show them.</summary>
    public override string ToString() => $"{DType} {Shape} on {Device}";

    private Tensor Alias(ulong offset, Shape shape, DType type)
    {
        ObjectDisposedException.ThrowIf(_block is null, this);
        _block.AddReference();
        return new Tensor(Device, _block, _offset + offset, shape, type);
    }

    private void Expect(int length, [CallerArgumentExpression(nameof(length))] string what = "")
    {
        if (length != Count)
            throw new ArgumentException($"{length} values for a tensor {Shape} of {Count}", what);
    }

    private void ExpectBytes(int bytes)
    {
        if (bytes != Bytes)
        {
            throw new ArgumentException(
                $"{bytes} bytes for a tensor {Shape} of {DType} ({Bytes} bytes)",
                nameof(bytes)
            );
        }
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
}
