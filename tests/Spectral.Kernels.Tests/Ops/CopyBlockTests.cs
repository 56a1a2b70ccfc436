using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class CopyBlockTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (DType From, DType To)[] Types =
    [
        (DType.F32, DType.F32),
        (DType.F32, DType.BF16),
        (DType.BF16, DType.BF16),
    ];

    [Test]
    public void FillsTheRectangleAndLeavesTheRest(
        [ValueSource(nameof(Types))] (DType From, DType To) types,
        [Values(1, 7, 33)] int rows,
        [Values(1, 8, 127, 1000)] int columns,
        [Values] Placed from,
        [Values] bool aligned
    )
    {
        (int row, int column, int height, int width) = (
            2,
            aligned ? 16 : 3,
            rows + 5,
            aligned ? (columns + 31) / 8 * 8 : columns + 4
        );
        ColumnRange source = InputColumns(rows, columns, types.From, from, out double[] values);
        Tensor destination = Input((height, width), types.To, out double[] expected);

        CopyBlock.Run(source, destination, row, column);

        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
                expected[(row + i) * width + column + j] = values[i * columns + j];
        }

        Verify(destination, expected);
    }

    [Test]
    public void TakesARectangle([Values(1, 7, 33)] int rows, [Values(1, 8, 127)] int columns)
    {
        (int row, int column, int width) = (2, 3, columns + 4);
        Tensor source = Input((rows + 5, width), DType.F32, out double[] values);
        Tensor destination = Output((rows, columns));

        CopyBlock.Take(source, row, column, destination);

        Verify(destination, Rectangle(rows, columns, (i, j) => values[(row + i) * width + column + j]));
    }

    [Test]
    public void AddsARectangle(
        [Values(1, 7, 33)] int rows,
        [Values(1, 8, 127)] int columns,
        [Values(1f, -0.3f)] float scale
    )
    {
        (int row, int column, int width) = (2, 3, columns + 4);
        Tensor source = Input((rows + 5, width), DType.F32, out double[] values);
        Tensor destination = Input((rows, columns), DType.F32, out double[] before);

        CopyBlock.Add(source, row, column, destination, scale);

        double[] added = Rectangle(rows, columns, (i, j) => (double)scale * values[(row + i) * width + column + j]);
        Verify(
            destination,
            before.Zip(added, (b, a) => b + a).ToArray(),
            before.Zip(added, (b, a) => Math.Abs(b) + Math.Abs(a)).ToArray()
        );
    }

    [Test]
    public void AddsIntoTheRectangleAndLeavesTheRest(
        [Values(1, 7, 33)] int rows,
        [Values(1, 8, 127)] int columns,
        [Values(1f, -0.3f)] float scale
    )
    {
        (int row, int column, int width) = (2, 3, columns + 4);
        Tensor source = Input((rows, columns), DType.F32, out double[] values);
        Tensor destination = Input((rows + 5, width), DType.F32, out double[] expected);
        double[] magnitude = Array.ConvertAll(expected, Math.Abs);

        CopyBlock.AddInto(source, destination, row, column, scale);

        for (int i = 0; i < rows; i++)
        {
            for (int j = 0; j < columns; j++)
            {
                double term = (double)scale * values[i * columns + j];
                expected[(row + i) * width + column + j] += term;
                magnitude[(row + i) * width + column + j] += Math.Abs(term);
            }
        }

        Verify(destination, expected, magnitude);
    }

    [Test]
    public void RefusesWhatReachesOutside()
    {
        Tensor source = Input((2, 3), DType.F32, out _);
        Tensor destination = Output((4, 4));
        Assert.Multiple(() =>
        {
            Assert.That(() => CopyBlock.Run(source, destination, 3, 0), Throws.ArgumentException);
            Assert.That(() => CopyBlock.Run(source, destination, 0, 2), Throws.ArgumentException);
            Assert.That(() => CopyBlock.Run(source, destination, -1, 0), Throws.ArgumentException);
            Assert.That(() => CopyBlock.Run(Output((2, 3), DType.BF16), destination, 0, 0), Throws.ArgumentException);
            Assert.That(() => CopyBlock.Run(Output(6), destination, 0, 0), Throws.ArgumentException);
            Assert.That(
                () => CopyBlock.Take(destination, 3, 0, source),
                Throws.ArgumentException.With.Message.Contains(
                    "a rectangle [2, 3] at row 3, column 0 reaches outside source [4, 4]"
                )
            );
            Assert.That(() => CopyBlock.Add(destination, 0, 2, source), Throws.ArgumentException);
            Assert.That(
                () => CopyBlock.Add(Output((4, 4), DType.BF16), 0, 0, source),
                Throws.ArgumentException.With.Message.Contains("source is BF16, expected F32")
            );
            Assert.That(
                () => CopyBlock.AddInto(source, destination, 0, -1),
                Throws.ArgumentException.With.Message.Contains("outside destination")
            );
            Assert.That(() => CopyBlock.AddInto(source, Output(16), 0, 0), Throws.ArgumentException);
        });
    }

    private static double[] Rectangle(int rows, int columns, Func<int, int, double> value) =>
        Enumerable.Range(0, rows * columns).Select(at => value(at / columns, at % columns)).ToArray();
}
