namespace Spectral.Kernels.Tests;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class CopyBlockTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (DType From, DType To)[] Types = [(DType.F32, DType.F32), (DType.F32, DType.BF16), (DType.BF16, DType.BF16)];

    [Test]
    public void FillsTheRectangleAndLeavesTheRest([ValueSource(nameof(Types))] (DType From, DType To) types, [Values(1, 7, 33)] int rows, [Values(1, 8, 127)] int columns)
    {
        (int row, int column, int height, int width) = (2, 3, rows + 5, columns + 4);
        Tensor source = Input((rows, columns), types.From, out double[] values);
        Tensor destination = Input((height, width), types.To, out double[] expected);

        CopyBlock.Run(source, destination, row, column);

        for (int i = 0; i < rows; i++)
            for (int j = 0; j < columns; j++)
                expected[(row + i) * width + column + j] = values[i * columns + j];
        Verify(destination, expected);
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
        });
    }
}
