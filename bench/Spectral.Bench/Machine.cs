using Spectral.Bench.Baselines;
using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench;

/// <summary>How much is run.</summary>
internal enum Extent
{
    /// <summary>Every shape, 50 samples or more.</summary>
    Full,

    /// <summary>One or two shapes of each case, 20 samples.</summary>
    Quick,

    /// <summary>Tiny shapes and few samples, to see that everything runs.</summary>
    Smoke,

    /// <summary>One shape of each case, of whole tiles, small enough to run the PTX on the CPU device.</summary>
    Counted,
}

/// <summary>The device under test, how much to run on it, and tensors of normal random values made on it.</summary>
internal sealed class Machine(Device device, Extent extent) : IDisposable
{
    private const int Chunk = 1 << 26; // values drawn in F32 at a time: 256 MB

    private ulong _stream;
    private BlasLt? _lt;

    public Device Device => device;

    public Extent Extent => extent;

    /// <summary>
    /// Whether scenarios are made for their contracts alone and never run: buffers stay empty, one of each.
    /// </summary>
    public bool IsDry { get; init; }

    public bool IsGpu => device.Kind == DeviceKind.Cuda;

    /// <summary>cuBLASLt, with what it found fastest so far.</summary>
    /// <inheritdoc cref="BlasLt(Machine)"/>
    public BlasLt Lt => _lt ??= new BlasLt(this);

    /// <summary>The sizes for this run.</summary>
    public T Choose<T>(T full, T quick, T smoke, T counted) =>
        extent switch
        {
            Extent.Full => full,
            Extent.Quick => quick,
            Extent.Counted => counted,
            _ => smoke,
        };

    /// <summary>The sizes for this run, where tiny ones serve for counting too.</summary>
    public T Choose<T>(T full, T quick, T smoke) => Choose(full, quick, smoke, smoke);

    /// <summary>
    /// Buffer sets to go round on so that between two uses of one at least twice the shared cache has been touched:
    /// a repeated call then finds nothing of its operands in it. Counting, which repeats nothing, needs one.
    /// </summary>
    public int CopiesFor(double bytesPerCopy) =>
        IsDry || extent == Extent.Counted
            ? 1
            : 1 + (int)Math.Clamp(Math.Ceiling(2.0 * device.L2CacheBytes / Math.Max(1, bytesPerCopy)), 1, 63);

    /// <summary>Normal random values, never zeros: a matrix product can run faster on those.</summary>
    public Tensor Normal(Shape shape, DType type, float deviation = 1)
    {
        var tensor = Tensor.Empty(device, shape, type);
        if (IsDry)
            return tensor;
        if (type == DType.F32)
        {
            Philox.Normal(tensor, Seed, ++_stream, 0, deviation);
            return tensor;
        }
        using Tensor flat = tensor.View(checked((int)shape.Count));
        using var drawn = Tensor.Empty(device, (int)Math.Min(Chunk, shape.Count));
        for (int start = 0; start < flat.Dim(0); start += Chunk)
        {
            int count = Math.Min(Chunk, flat.Dim(0) - start);
            using Tensor source = drawn.Rows(0, count);
            using Tensor destination = flat.Rows(start, count);
            Philox.Normal(source, Seed, ++_stream, 0, deviation);
            Cast.Run(source, destination);
        }
        return tensor;
    }

    /// <summary>Makes every element NaN, so that one that is not written afterwards shows.</summary>
    public static void Poison(params ReadOnlySpan<Tensor> tensors)
    {
        foreach (Tensor tensor in tensors)
        {
            tensor.Clear();
            Scale.Run(tensor, float.NaN);
        }
    }

    public void Dispose()
    {
        _lt?.Dispose();
        device.Dispose();
    }

    private const ulong Seed = 20260101;
}
