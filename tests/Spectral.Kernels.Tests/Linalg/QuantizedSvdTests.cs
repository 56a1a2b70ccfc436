using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

/// <summary>Decompositions that read a weight from its codes, against those of the values it stands for.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class QuantizedSvdTests(DeviceKind kind) : SvdTest(kind)
{
    private static readonly WeightFormat[] Formats = Enum.GetValues<WeightFormat>();
    private static readonly (int, int)[] Shapes = [(60, 40), (40, 60), (33, 33)];

    /// <summary>What every decomposition must satisfy, and the values of an exact one of the same numbers.</summary>
    [Test]
    public void TheFactorsAreThoseOfTheValues(
        [ValueSource(nameof(Formats))] WeightFormat format,
        [ValueSource(nameof(Shapes))] (int Rows, int Columns) shape,
        [Values] SvdMethod method
    )
    {
        using QuantizedMatrix matrix = Falling(shape.Rows, shape.Columns, format, 1, isCompressed: false);
        (float[] values, double[] sigma) = Values(matrix);
        const int Rank = 6;
        using SvdResult result = Svd.Compute(matrix, Rank, method);
        double tail = Math.Sqrt(sigma.Skip(Rank).Sum(value => value * value));
        VerifyFactors(result, Array.ConvertAll(values, value => (double)value), tail, $"{format} {method}");
        VerifyValues(result, sigma, 1e-3, $"{format} {method}");
    }

    /// <summary>
    /// The same random vectors, so that plain and quantised weights differ by rounding of sums alone.
    /// </summary>
    [Test]
    public void ManyMatricesOfAllKindsAreTakenTogether([Values] bool isCompressed)
    {
        using QuantizedMatrix first = Falling(70, 50, WeightFormat.Nf4, 1, isCompressed);
        using QuantizedMatrix second = Falling(70, 50, WeightFormat.Int8, 1, isCompressed: false);
        Tensor plain = Input(Values(first).Host, (70, 50), DType.F32, out _);
        RandomizedSvdOptions options = new() { Seed = 5 };
        SvdResult[] all = RandomizedSvd.Compute([first, plain, second], 4, options);
        using SvdResult alone = RandomizedSvd.Compute(second, 4, options);
        Assert.Multiple(() =>
        {
            float[] values = all[1].S.ToArray();
            Assert.That(all[0].S.ToArray(), Is.EqualTo(values).Within(1e-5f * values[0]));
            Assert.That(all[0].Vt.ToArray(), Is.EqualTo(all[1].Vt.ToArray()).Within(1e-3f));
            Assert.That(all[2].S.ToArray(), Is.EqualTo(alone.S.ToArray()));
            Assert.That(all[2].U.ToArray(), Is.EqualTo(alone.U.ToArray()));
        });
        foreach (SvdResult result in all)
            result.Dispose();
    }

    /// <summary>
    /// Squares of these overflow or vanish, so that the scales are multiplied by a power of two first.
    /// </summary>
    [Test]
    public void AnyScaleGivesTheSameVectors(
        [Values(1e-30f, 1e+36f)] float scale,
        [Values] SvdMethod method,
        [Values] bool isCompressed
    )
    {
        using QuantizedMatrix matrix = Falling(60, 50, WeightFormat.Nf4, scale, isCompressed);
        (_, double[] sigma) = Values(matrix);
        using SvdResult result = Svd.Compute(matrix, 5, method);
        double[] s = Doubles(result.S);
        for (int i = 0; i < s.Length; i++)
            Assert.That(s[i], Is.EqualTo(sigma[i]).Within(1e-4 * sigma[0]), $"value {i}");
        Assert.That(Deviation(Doubles(result.Vt), 5, 50), Is.LessThanOrEqualTo(1e-5));
    }

    [Test]
    public void ZerosAndNumbersThatAreNone([Values] SvdMethod method)
    {
        using QuantizedMatrix zero = new(Device, 20, 32, QuantizedLayout.For(WeightFormat.Nf4));
        Tensor values = Input(new float[20 * 32], (20, 32), DType.F32, out _);
        zero.Fill(0, values);
        using SvdResult result = Svd.Compute(zero, 3, method);
        Assert.That(result.S.ToArray(), Is.All.Zero);
        Assert.That(result.NumericalRank, Is.Zero);
        values = Input([.. Enumerable.Repeat(float.NaN, 20 * 32)], (20, 32), DType.F32, out _);
        zero.Fill(0, values);
        Assert.That(
            () => Svd.Compute(zero, 3, method),
            Throws.ArgumentException.With.Message.Contains("a [20, 32] holds NaN or infinite values")
        );
    }

    [Test]
    public void WhatDoesNotFitIsNamed([Values] SvdMethod method)
    {
        QuantizedMatrix matrix = Falling(20, 30, WeightFormat.Nf4, 1, isCompressed: false);
        Assert.That(
            () => Svd.Compute(matrix, 21, method),
            Throws.ArgumentException.With.Message.Contains("rank is 21, expected 1 to 20, the smaller dimension")
        );
        ColumnRange part = new(Input((20, 30), DType.F32, out _), 0, 10);
        Assert.That(
            () => Svd.Compute(part, 2, method),
            Throws.ArgumentException.With.Message.Contains("a is columns of [20, 30], expected all of them")
        );
        matrix.Dispose();
        Assert.That(() => Svd.Compute(matrix, 2, method), Throws.InstanceOf<ObjectDisposedException>());
    }

    /// <summary>
    /// Rehearsed: 16 million weights are 64 MB in F32, of which a panel and vectors of the sketch have a few.
    /// </summary>
    [Test]
    public void NoTensorOfTheWeightIsMade([Values] bool kernels)
    {
        using Device device = Device.Kind == DeviceKind.Cpu ? Device.Cpu() : Device.Cuda();
        using Device rehearsal = device.Rehearse();
        const int Size = 4096;
        using QuantizedMatrix matrix = new(rehearsal, Size, Size, QuantizedLayout.For(WeightFormat.Nf4));
        rehearsal.Memory.ResetPeak();
        long before = rehearsal.Memory.InUse;
        using (var careful = SvdMatrix.Prepare(matrix, 8))
            Assert.That(rehearsal.Memory.InUse, Is.EqualTo(before), "the codes are not copied");
        SketchSource source = new([matrix], 34, kernels);
        using (SvdChain chain = new(source, 8, 24, compares: true, kernels))
        {
            chain.Begin(1, [0], last: false);
            chain.To(2);
            chain.Finish();
        }

        source.Dispose();
        long panel = PanelProduct.Width(rehearsal, Size, Size) * Size * 4L;
        long sketch = SvdChain.BytesPerMatrix(Size, Size, 24);
        Assert.That(rehearsal.Memory.Peak - before, Is.LessThan((panel + sketch) * 9 / 8));
        Assert.That((panel + sketch) * 9 / 8, Is.LessThan(Size * Size * 4L / 2), "or else it shows nothing");
    }

    // Values that fall, in no basis of the axes, rounded to a format.
    private QuantizedMatrix Falling(int rows, int columns, WeightFormat format, float scale, bool isCompressed)
    {
        var known = new KnownMatrix(Rng, rows, columns, i => Math.Pow(2, -i));
        Tensor plain = Input([.. known.Values.Select(value => value * scale)], (rows, columns), DType.F32, out _);
        var matrix = new QuantizedMatrix(Device, rows, columns, QuantizedLayout.For(format));
        matrix.Fill(0, plain);
        if (isCompressed)
            matrix.CompressScales();
        return matrix;
    }

    private (float[] Host, double[] Sigma) Values(QuantizedMatrix matrix)
    {
        Tensor read = Output((matrix.Rows, matrix.Columns));
        matrix.Dequantize(0, read);
        float[] values = read.ToArray();
        double most = values.Max(Math.Abs);
        double[] scaled = Array.ConvertAll(values, value => value / most);
        double[] sigma = DoubleSvd.ValuesOf(Device, scaled, matrix.Rows, matrix.Columns);
        return (values, [.. sigma.Select(value => value * most)]);
    }
}
