using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Benchmarks;

/// <summary>
/// The device that benchmarks run on, tensors of normal random values, and the check that comes before any time.
/// </summary>
internal sealed class BenchmarkDevice : IDisposable
{
    private const ulong Seed = 1;

    private readonly List<Tensor> _tensors = [];
    private ulong _stream;

    public Device Device { get; } = Device.Best();

    public Tensor Random(Shape shape, DType type, float deviation = 1)
    {
        Tensor values = Empty(shape, type);
        using Tensor drawn = type == DType.F32 ? values.Share() : Tensor.Empty(Device, shape);
        Philox.Normal(drawn, Seed, ++_stream, deviation: deviation);
        if (type != DType.F32)
            Cast.Run(drawn, values);
        return values;
    }

    public Tensor Empty(Shape shape, DType type) => Keep(Tensor.Empty(Device, shape, type));

    /// <summary>
    /// Throws, so that no time is reported, unless 64 sampled elements are those of the double reference.
    /// </summary>
    public static void Verify(Tensor actual, Func<int, int, double> expected, double tolerance)
    {
        float[] values = actual.ToArray();
        int rows = actual.Dim(0);
        int columns = actual.Dim(1);
        for (int sample = 0; sample < 64; sample++)
        {
            int row = (int)(sample * 2654435761L % rows);
            int column = (int)(sample * 40503L % columns);
            double error = Math.Abs(values[row * columns + column] - expected(row, column));
            if (!(error <= tolerance))
                throw new InvalidOperationException($"element [{row}, {column}] is off by {error}: not worth timing");
        }
    }

    public void Dispose()
    {
        _tensors.ForEach(tensor => tensor.Dispose());
        Device.Dispose();
    }

    private Tensor Keep(Tensor tensor)
    {
        _tensors.Add(tensor);
        return tensor;
    }
}
