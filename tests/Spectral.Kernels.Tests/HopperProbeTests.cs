using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>
/// Single Hopper instructions against their layout formulas, byte for byte, on the CPU device and on a GPU of compute
/// capability 9.0: when a kernel built from them is wrong on a GPU, these say which bit the two see differently.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class HopperProbeTests(DeviceKind kind) : DeviceTest(kind)
{
    private const int Box = 64;
    private const int TileElements = Box * Box;

    [SetUp]
    public void NeedsHopper()
    {
        if (Device.ComputeCapability != (9, 0))
            Assert.Ignore($"compute capability {Device.ComputeCapability}: these instructions exist on 9.0 only");
    }

    /// <summary>Rows, columns, and where the box starts: inside, over the far edges, over the near ones.</summary>
    private static readonly (int Rows, int Columns, int X, int Y)[] Places =
    [
        (64, 64, 0, 0),
        (100, 200, 64, 64),
        (3, 8, 0, 0),
        (70, 80, -8, -5),
        (70, 72, 24, 9),
    ];

    [TestCaseSource(nameof(Places))]
    public void LoadsLieSwizzled((int Rows, int Columns, int X, int Y) place)
    {
        (Tensor matrix, float[] values) = Counting(place.Rows, place.Columns);
        Tensor dump = Output(TileElements, DType.BF16);
        HopperProbe.Run("load", matrix, matrix, dump, place.X, place.Y);
        float[] expected = new float[TileElements];
        ForBox(place, (cell, at) => expected[Swizzled(cell)] = values[at]);
        Assert.That(dump.ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void RowsMayBeFurtherApartThanTheyAreWide()
    {
        (Tensor matrix, float[] values) = Counting(Box, 88);
        Tensor dump = Output(TileElements, DType.BF16);
        HopperProbe.Run("load", matrix, matrix, dump, width: 40);
        float[] expected = new float[TileElements];
        ForBox((Box, 88, 0, 0), (cell, at) => expected[Swizzled(cell)] = at % 88 < 40 ? values[at] : 0);
        Assert.That(dump.ToArray(), Is.EqualTo(expected));
    }

    [TestCaseSource(nameof(Places))]
    public void StoresAreTakenSwizzled((int Rows, int Columns, int X, int Y) place)
    {
        (Tensor matrix, float[] values) = Counting(place.Rows, place.Columns);
        HopperProbe.Run("store", matrix, matrix, matrix, place.X, place.Y);
        ForBox(place, (cell, at) => values[at] = Bits(Swizzled(cell)));
        Assert.That(matrix.ToArray(), Is.EqualTo(values));
    }

    [Test]
    public void StmatrixPlacesItsFragments()
    {
        Tensor dump = Output((Box, Box), DType.BF16);
        HopperProbe.Run("stmatrix", dump, dump, dump);
        float[] expected = new float[TileElements];
        for (int row = 0; row < Box; row++)
        {
            for (int column = 0; column < Box; column++)
            {
                int register = column % 16 / 8 * 2 + row % 16 / 8;
                int lane = row % 8 * 4 + column % 8 / 2;
                expected[Swizzled(row * Box + column)] = Bits(
                    2 * (((row / 16 * 4 + column / 16) * 4 + register) * 32 + lane) + column % 2
                );
            }
        }

        Assert.That(dump.ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void ProductsReadTheirOperands([Values] bool depthRows)
    {
        const int columns = 256;
        const int depth = Box;
        Tensor a = Integers((Box, depth), out float[] left);
        Tensor b = Integers(depthRows ? (depth, columns) : (columns, depth), out float[] right);
        Tensor dump = Output((128, 128));
        HopperProbe.Run(depthRows ? "product_depth_rows" : "product", a, b, dump);
        float[] expected = new float[128 * 128];
        for (int thread = 0; thread < 128; thread++)
        {
            for (int i = 0; i < 128; i++)
            {
                int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
                int column = i / 4 * 8 + thread % 4 * 2 + i % 2;
                for (int k = 0; k < depth; k++)
                {
                    expected[thread * 128 + i] +=
                        left[row * depth + k] * right[depthRows ? k * columns + column : column * depth + k];
                }
            }
        }

        Assert.That(dump.ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void MulticastReachesBothBlocks()
    {
        (Tensor matrix, float[] values) = Counting(2 * Box, Box);
        Tensor dump = Output(4 * TileElements, DType.BF16);
        HopperProbe.Run("multicast", matrix, matrix, dump);
        float[] expected = new float[4 * TileElements];
        for (int i = 0; i < 4 * TileElements; i++)
            expected[i / TileElements * TileElements + Swizzled(i % TileElements)] = values[i % (2 * TileElements)];
        Assert.That(dump.ToArray(), Is.EqualTo(expected));
    }

    // Element index in a tile of 64 columns, with the 16-byte unit exchanged by the row modulo 8.
    private static int Swizzled(int element) => element ^ ((element >> 6 & 7) << 3);

    private static float Bits(int bf16) => BitConverter.Int32BitsToSingle(bf16 << 16);

    private static void ForBox((int Rows, int Columns, int X, int Y) place, Action<int, int> visit)
    {
        for (int cell = 0; cell < TileElements; cell++)
        {
            int row = place.Y + cell / Box;
            int column = place.X + cell % Box;
            if (row >= 0 && row < place.Rows && column >= 0 && column < place.Columns)
                visit(cell, row * place.Columns + column);
        }
    }

    // Every element its own bit pattern.
    private (Tensor, float[]) Counting(int rows, int columns)
    {
        float[] values = Enumerable.Range(1, rows * columns).Select(Bits).ToArray();
        return (Input((float[])values.Clone(), (rows, columns), DType.BF16, out _), values);
    }

    private Tensor Integers(Shape shape, out float[] values)
    {
        values = Enumerable.Range(0, (int)shape.Count).Select(_ => (float)Rng.Next(-3, 4)).ToArray();
        return Input(values, shape, DType.BF16, out _);
    }
}
