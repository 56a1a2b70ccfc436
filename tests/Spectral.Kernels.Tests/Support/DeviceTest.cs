using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Support;

/// <summary>
/// Base of fixtures that run on every device: seeded random inputs already rounded to their type, outputs that start as
/// NaN, a guard zone on both sides of each, checked after the test, and a check that the test left no tensor behind.
/// </summary>
public abstract class DeviceTest(DeviceKind kind)
{
    private const int GuardBytes = 256;
    private const byte GuardByte = 0xA5;

    private readonly List<(Tensor Whole, long Bytes, string What)> _guarded = [];
    private readonly List<Tensor> _tensors = [];
    private int _alive;

    /// <summary>Lengths at which tails, single tiles and several tiles occur.</summary>
    public static readonly int[] Sizes = [1, 7, 32, 33, 127, 1000];

    /// <summary>
    /// Lengths of rows of which the CPU device takes pieces of every width: F32 of 80 by half of the widest, 192 by
    /// several of the widest in either type.
    /// </summary>
    public static readonly int[] RowSizes = [.. Sizes, 80, 192];

    public static readonly DType[] FloatTypes = [DType.F32, DType.BF16];

    protected Device Device { get; private set; } = null!;

    protected Random Rng { get; private set; } = null!;

    [OneTimeSetUp]
    public void OpenDevice() => Device = Devices.Get(kind);

    [SetUp]
    public void Seed()
    {
        int seed = Environment.GetEnvironmentVariable("SPECTRAL_TEST_SEED") is { } fixedSeed
            ? int.Parse(fixedSeed)
            : Environment.TickCount;
        TestContext.Out.WriteLine($"SPECTRAL_TEST_SEED={seed}");
        Rng = new Random(seed);
        _alive = LiveObjects.Snapshot().GetValueOrDefault("tensor");
    }

    [TearDown]
    public void CheckGuardsAndLeaks()
    {
        foreach ((Tensor whole, long bytes, string what) in _guarded)
        {
            byte[] raw = new byte[whole.Bytes];
            whole.CopyTo(raw.AsSpan());
            for (int i = 0; i < raw.Length; i++)
            {
                if ((i < GuardBytes || i >= GuardBytes + bytes) && raw[i] != GuardByte)
                {
                    string place =
                        i < GuardBytes
                            ? $"{GuardBytes - i} bytes before the start"
                            : $"{i - GuardBytes - bytes} bytes past the end";
                    Assert.Fail($"{what}: the guard zone was overwritten {place}");
                }
            }
        }
        _tensors.ForEach(tensor => tensor.Dispose());
        _guarded.ForEach(guarded => guarded.Whole.Dispose());
        _tensors.Clear();
        _guarded.Clear();
        Assert.That(
            LiveObjects.Snapshot().GetValueOrDefault("tensor"),
            Is.EqualTo(_alive),
            "tensors left undisposed by the test or by an op"
        );
    }

    /// <summary>Normal random values, rounded to the type.</summary>
    protected Tensor Input(Shape shape, DType type, out double[] values, double deviation = 1, double mean = 0)
    {
        float[] host = new float[shape.Count];
        for (int i = 0; i < host.Length; i++)
            host[i] = (float)(mean + deviation * Rng.NextNormal());
        return Input(host, shape, type, out values);
    }

    /// <summary>Given values, rounded to the type.</summary>
    protected Tensor Input(float[] host, Shape shape, DType type, out double[] values)
    {
        Tensor tensor = Guarded(shape, type, "input");
        tensor.CopyFrom(host);
        values = Array.ConvertAll(host, value => (double)(type == DType.BF16 ? BFloat16.Round(value) : value));
        return tensor;
    }

    /// <summary>Integer input.</summary>
    protected Tensor Input(int[] values, Shape shape)
    {
        Tensor tensor = Guarded(shape, DType.I32, "integer input");
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>An output full of NaN (of -1 for I32: all bits set).</summary>
    protected Tensor Output(Shape shape, DType type = DType.F32)
    {
        Tensor tensor = Guarded(shape, type, "output");
        byte[] ones = new byte[tensor.Bytes];
        Array.Fill(ones, (byte)0xFF);
        tensor.CopyFrom(ones.AsSpan());
        return tensor;
    }

    /// <summary>
    /// Where a matrix stands: alone, or as columns of a wider one, with rows on 16-byte boundaries or not.
    /// </summary>
    public enum Placed
    {
        Alone,
        Aligned,
        Odd,
    }

    /// <summary>Normal random values in columns of a matrix that holds NaN everywhere else.</summary>
    protected ColumnRange InputColumns(
        int rows,
        int columns,
        DType type,
        Placed placed,
        out double[] values,
        double deviation = 1
    )
    {
        ColumnRange range = OutputColumns(rows, columns, type, placed);
        float[] dense = Input((rows, columns), type, out values, deviation).ToArray();
        float[] wide = range.Matrix.ToArray();
        for (int i = 0; i < dense.Length; i++)
            wide[i / columns * range.Stride + range.From + i % columns] = dense[i];
        range.Matrix.CopyFrom(wide);
        return range;
    }

    /// <summary>Columns of a matrix full of NaN.</summary>
    protected ColumnRange OutputColumns(int rows, int columns, DType type, Placed placed)
    {
        (int from, int stride) = placed switch
        {
            Placed.Alone => (0, columns),
            Placed.Aligned => (8, (columns + 7) / 8 * 8 + 16),
            _ => (3, columns + 8 - columns % 2),
        };
        return new ColumnRange(Output((rows, stride), type), from, columns);
    }

    /// <summary>As for a tensor; and what is not in the columns must have stayed NaN.</summary>
    protected static void Verify(
        ColumnRange actual,
        double[] expected,
        double[]? magnitude = null,
        int reductionLength = 1,
        string what = "result",
        double factor = 1
    )
    {
        float[] wide = actual.Matrix.ToArray();
        bool Inside(int at) => at % actual.Stride >= actual.From && at % actual.Stride < actual.From + actual.Count;
        Assert.That(
            Enumerable.Range(0, wide.Length).Where(at => !Inside(at) && !float.IsNaN(wide[at])),
            Is.Empty,
            $"{what}: written beside its columns"
        );
        Comparator.Verify(
            [.. wide.Where((_, at) => Inside(at)).Select(value => (double)value)],
            expected,
            actual.Matrix.DType,
            magnitude,
            reductionLength,
            what,
            factor
        );
    }

    /// <summary>Keeps a tensor that the test made itself until the end of the test.</summary>
    protected Tensor Keep(Tensor tensor)
    {
        _tensors.Add(tensor);
        return tensor;
    }

    /// <inheritdoc cref="Comparator.Verify"/>
    protected static void Verify(
        Tensor actual,
        double[] expected,
        double[]? magnitude = null,
        int reductionLength = 1,
        string what = "result",
        double factor = 1
    ) =>
        Comparator.Verify(
            Array.ConvertAll(actual.ToArray(), value => (double)value),
            expected,
            actual.DType,
            magnitude,
            reductionLength,
            what,
            factor
        );

    // With an allocation for each tensor the device or a sanitizer guards its ends, reads included, and must see where
    // they are.
    private Tensor Guarded(Shape shape, DType type, string what)
    {
        if (Environment.GetEnvironmentVariable(Kernels.Device.CheckVariable) == "1")
            return Keep(Tensor.Empty(Device, shape, type));
        long bytes = shape.Count * type.Size();
        var whole = Tensor.Empty(Device, (int)((bytes + 2 * GuardBytes + 1) / 2), DType.BF16);
        byte[] pattern = new byte[whole.Bytes];
        Array.Fill(pattern, GuardByte);
        whole.CopyFrom(MemoryMarshal.AsBytes(pattern.AsSpan()));
        _guarded.Add((whole, bytes, $"{what} {shape} of {type}"));
        return Keep(Tensor.FromPointer(Device, whole.Pointer + GuardBytes, shape, type));
    }
}
