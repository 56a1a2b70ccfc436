using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Quantization;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class QuantizedMatrixTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly WeightFormat[] Formats = Enum.GetValues<WeightFormat>();

    // Whole blocks; blocks across rows, the last one partial; an odd number of elements; less than a block; several
    // tiles of 128 × 128, some cut.
    private static readonly (int, int)[] Shapes = [(16, 128), (5, 40), (7, 33), (1, 1), (3, 1), (130, 260)];

    [Test]
    public void CodesScalesAndValuesAreThoseOfTheDefinition(
        [ValueSource(nameof(Formats))] WeightFormat format,
        [ValueSource(nameof(Shapes))] (int Rows, int Columns) shape
    ) => RequireLikeReference(QuantizedLayout.For(format), shape.Rows, shape.Columns, Normal(shape));

    private static readonly QuantizedLayout[] OtherLayouts =
    [
        new(WeightFormat.Nf4, ScaleGrid.Flat(8)),
        new(WeightFormat.Nf4, ScaleGrid.Flat(4096)),
        new(WeightFormat.Nf4, ScaleGrid.PerRow),
        new(WeightFormat.Fp8, ScaleGrid.PerTensor),
        new(WeightFormat.Fp8, ScaleGrid.PerRow),
        new(WeightFormat.Int8, ScaleGrid.Flat(32)),
        new(WeightFormat.Int8, ScaleGrid.Tiles(3, 5)),
        new(WeightFormat.Fp4, ScaleGrid.Tiles(3, 7)),
    ];

    [Test]
    public void OtherGridsToo(
        [ValueSource(nameof(OtherLayouts))] QuantizedLayout layout,
        [ValueSource(nameof(Shapes))] (int Rows, int Columns) shape
    ) => RequireLikeReference(layout, shape.Rows, shape.Columns, Normal(shape));

    /// <summary>
    /// Zero blocks, numbers whose reciprocal is infinite, the largest there are, and blocks with one large element.
    /// </summary>
    [Test]
    public void EveryMagnitudeKeepsItsPlace([ValueSource(nameof(Formats))] WeightFormat format)
    {
        float[] sizes = [0, 1e-45f, 1e-40f, 1.2e-38f, 1e-30f, 1, 3e30f, float.MaxValue];
        const int Columns = 128;
        float[] values = new float[sizes.Length * Columns];
        for (int i = 0; i < values.Length; i++)
            values[i] = (float)(sizes[i / Columns] * (Rng.NextDouble() * 2 - 1));
        values[5 * Columns] = 1e20f;
        RequireLikeReference(new QuantizedLayout(format, ScaleGrid.Tiles(1, 64)), sizes.Length, Columns, values);
    }

    /// <summary>A number in the middle between two values gets the code of the lower one.</summary>
    [Test]
    public void TiesGoToTheLowerValue([ValueSource(nameof(Formats))] WeightFormat format)
    {
        double[] ascending = [.. QuantizedReference.Table(format).Where(double.IsFinite).Distinct().Order()];
        if (format == WeightFormat.Int8)
            ascending = ascending[1..]; // −128 is never made
        List<float> values = [(float)ascending[^1]]; // the scale is 1
        List<double> expected = [ascending[^1]];
        for (int i = 1; i < ascending.Length; i++)
        {
            double middle = (ascending[i - 1] + ascending[i]) / 2;
            float tie = (float)middle;
            // the values next to the middle, and the middle itself where it is an F32
            foreach (float x in new[] { MathF.BitDecrement(tie), tie, MathF.BitIncrement(tie) })
            {
                values.Add(x);
                expected.Add(x > middle ? ascending[i] : ascending[i - 1]);
            }
        }

        using QuantizedMatrix matrix = new(
            Device,
            1,
            values.Count,
            new QuantizedLayout(format, format == WeightFormat.Mxfp4 ? ScaleGrid.PerTensor : ScaleGrid.PerRow)
        );
        matrix.Fill(0, Input([.. values], (1, values.Count), DType.F32, out _));
        Tensor read = Output((1, values.Count));
        matrix.Dequantize(0, read);
        Assert.That(read.ToArray(), Is.EqualTo(expected.Select(value => (float)value)));
    }

    [Test]
    public void TheTablesAreThePublishedOnes([ValueSource(nameof(Formats))] WeightFormat format)
    {
        using QuantizedMatrix matrix = new(Device, 1, 1, QuantizedLayout.For(format));
        Assert.That(matrix.Table.ToArray(), Is.EqualTo(QuantizedReference.Table(format).Select(value => (float)value)));
    }

    /// <summary>Every code, those that are never made included, as a file may have it.</summary>
    [Test]
    public void EveryCodeIsRead([ValueSource(nameof(Formats))] WeightFormat format)
    {
        int count = 1 << format.Bits();
        using QuantizedMatrix matrix = new(Device, 1, count, new QuantizedLayout(format, ScaleGrid.PerTensor));
        byte[] bytes =
            count == 256
                ? [.. Enumerable.Range(0, 256).Select(code => (byte)code)]
                : [.. Enumerable.Range(0, 8).Select(i => (byte)(2 * i << 4 | (2 * i + 1)))];
        matrix.Codes.CopyFrom(bytes.AsSpan());
        matrix.Scales!.CopyFrom([0.75f]);
        Tensor read = Output((1, count));
        matrix.Dequantize(0, read);
        Assert.That(read.ToArray(), Is.EqualTo(QuantizedReference.Table(format).Select(value => (float)value * 0.75f)));
    }

    [Test]
    public void ANumberThatIsNoneMakesItsBlockNaN(
        [ValueSource(nameof(Formats))] WeightFormat format,
        [Values(float.NaN, float.PositiveInfinity, float.NegativeInfinity)] float bad
    )
    {
        float[] values = Normal((1, 128));
        values[70] = bad;
        using QuantizedMatrix matrix = new(Device, 1, 128, new QuantizedLayout(format, ScaleGrid.Flat(64)));
        matrix.Fill(0, Input(values, (1, 128), DType.F32, out _));
        Tensor read = Output((1, 128));
        matrix.Dequantize(0, read);
        Assert.That(read.ToArray().Select(float.IsNaN), Is.EqualTo(Enumerable.Range(0, 128).Select(i => i >= 64)));
    }

    /// <summary>Pieces of rows make the same codes as all rows at once.</summary>
    [Test]
    public void RowsMayComeInPieces(
        [ValueSource(nameof(Formats))] WeightFormat format,
        [Values(33, 40, 128)] int columns
    )
    {
        const int Rows = 300;
        float[] values = Normal((Rows, columns));
        using QuantizedMatrix whole = new(Device, Rows, columns, QuantizedLayout.For(format));
        using QuantizedMatrix pieces = new(Device, Rows, columns, QuantizedLayout.For(format));
        Tensor all = Input(values, (Rows, columns), DType.F32, out _);
        whole.Fill(0, all);
        // the last piece first, and others than powers of two
        int height = pieces.PieceRows * (128 / pieces.PieceRows);
        for (int from = (Rows - 1) / height * height; from >= 0; from -= height)
        {
            using Tensor part = all.Rows(from, Math.Min(height, Rows - from));
            pieces.Fill(from, part);
        }

        Assert.That(pieces.PieceRows, Is.LessThanOrEqualTo(128));
        Assert.That(BytesOf(pieces.Codes), Is.EqualTo(BytesOf(whole.Codes)));
        Assert.That(pieces.Scales!.ToArray(), Is.EqualTo(whole.Scales!.ToArray()));
    }

    [Test]
    public void AnyRectangleIsRead(
        [ValueSource(nameof(Formats))] WeightFormat format,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values(72, 65)] int columns
    )
    {
        const int Rows = 20;
        float[] values = Normal((Rows, columns));
        QuantizedReference reference = new(values, Rows, columns, QuantizedLayout.For(format));
        using QuantizedMatrix matrix = new(Device, Rows, columns, QuantizedLayout.For(format));
        matrix.Fill(0, Input(values, (Rows, columns), DType.F32, out _));
        foreach ((int row, int column, int r, int c) in new[] { (0, 0, Rows, columns), (3, 8, 9, 48), (5, 7, 13, 33) })
        {
            Tensor read = Output((r, c), type);
            matrix.Dequantize(row, column, read);
            IEnumerable<float> expected =
                from i in Enumerable.Range(row, r)
                from j in Enumerable.Range(column, c)
                let value = reference.Values[i * columns + j]
                select type == DType.BF16 ? BFloat16.Round(value) : value;
            Assert.That(read.ToArray(), Is.EqualTo(expected), $"{r} × {c} from {row}, {column}");
        }
    }

    /// <summary>Another codebook, whose values are in no order: what a file's <c>quant_map</c> may hold.</summary>
    [Test]
    public void AnotherTableTakesTheFormatsPlace()
    {
        float[] table = [3, -2, 0.5f, 0, -0.5f, 1, 2, -1, 1.5f, -1.5f, 4, -4, 0.25f, -0.25f, 3.5f, -3];
        using QuantizedMatrix matrix = new(Device, 1, 64, QuantizedLayout.For(WeightFormat.Nf4), table);
        float[] values = Normal((1, 64));
        values[9] = 4;
        values[10] = 3.25f;
        matrix.Fill(0, Input(values, (1, 64), DType.F32, out _));
        float largest = values.Max(Math.Abs);
        float scale = largest / 4;
        float[] read = Read(matrix);
        for (int i = 0; i < values.Length; i++)
        {
            double nearest = table.Min(value => Math.Abs(value - values[i] / scale));
            Assert.That(Math.Abs(read[i] / scale - values[i] / scale), Is.EqualTo(nearest).Within(1e-5), $"{i}");
        }
    }

    /// <summary>
    /// Double quantisation beside the dynamic map of bitsandbytes by its definition: the nearest code of each
    /// difference from the mean, in blocks of 256.
    /// </summary>
    [Test]
    public void CompressedScalesAreTheNearestOfTheDynamicMap([Values(1, 255, 256, 257, 1000)] int scales)
    {
        float[] values = Normal((1, 64 * scales));
        using QuantizedMatrix matrix = new(Device, 1, 64 * scales, QuantizedLayout.For(WeightFormat.Nf4));
        matrix.Fill(0, Input(values, (1, 64 * scales), DType.F32, out _));
        float[] exact = matrix.Scales!.ToArray();
        long before = matrix.Bytes;
        matrix.CompressScales();

        CompressedScales compressed = matrix.Compressed!;
        Assert.That(matrix.Scales, Is.Null);
        Assert.That(compressed.Mean, Is.EqualTo(exact.Average(scale => (double)scale)).Within(1e-6));
        float[] map = DynamicCodes.Values(isSigned: true);
        Assert.That(compressed.Map.ToArray(), Is.EqualTo(map));
        float[] most = compressed.Largest.ToArray();
        byte[] codes = BytesOf(compressed.Codes);
        double[] differences = [.. exact.Select(scale => (double)(scale - compressed.Mean))];
        double[] stored = [.. codes.Select((code, i) => (double)map[code] * most[i / CompressedScales.Block])];
        Assert.That(DynamicCodes.FirstWrong(differences, stored, most, isSigned: true), Is.EqualTo(-1));
        int blocks = (scales + CompressedScales.Block - 1) / CompressedScales.Block;
        Assert.That(matrix.Bytes, Is.EqualTo(before - 4 * scales + scales + 4 * blocks + 4 * map.Length));

        float[] read = Read(matrix);
        float[] table = matrix.Table.ToArray();
        byte[] elements = BytesOf(matrix.Codes);
        for (int i = 0; i < read.Length; i++)
        {
            float product = map[codes[i / 64]] * most[i / 64 / 256];
            float scale = product + compressed.Mean;
            int code = i % 2 == 0 ? elements[i / 2] >> 4 : elements[i / 2] & 15;
            Assert.That(read[i], Is.EqualTo(table[code] * scale), $"{i}");
        }
    }

    [Test]
    public void EqualScalesAreCompressedExactly()
    {
        float[] values = new float[64 * 10];
        Array.Fill(values, 0.5f);
        using QuantizedMatrix matrix = new(Device, 10, 64, QuantizedLayout.For(WeightFormat.Nf4));
        matrix.Fill(0, Input(values, (10, 64), DType.F32, out _));
        matrix.CompressScales();
        Assert.That(Read(matrix), Is.EqualTo(values));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        var nf4 = QuantizedLayout.For(WeightFormat.Nf4);
        using QuantizedMatrix matrix = new(Device, 6, 40, nf4);
        Refuses(() => new QuantizedMatrix(Device, 0, 4, nf4), "a matrix [0, 4], expected a row and a column");
        Refuses(() => new QuantizedMatrix(Device, 1, 4, nf4, new float[8]), "has 8 values, expected the 16 of nf4");
        Refuses(() => new QuantizedMatrix(Device, 1, 4, nf4, new float[16]), "values are all 0");
        float[] endless = new float[16];
        endless[3] = float.PositiveInfinity;
        Refuses(() => new QuantizedMatrix(Device, 1, 4, nf4, endless), "value 3 of the table is");
        Refuses(
            () => new QuantizedMatrix(Device, 1, 4, new QuantizedLayout(WeightFormat.Nf4, default)),
            "grid is empty"
        );
        Refuses(() => ScaleGrid.Flat(48), "blocks of 48 elements, expected a power of two");
        Refuses(() => ScaleGrid.Tiles(0, 3), "tiles of 0 × 3");
        Refuses(() => matrix.Fill(0, Output((6, 41))), "values is [6, 41], expected [any, 40]");
        Refuses(() => matrix.Fill(0, Output((6, 40), DType.BF16)), "values is BF16, expected F32");
        Refuses(() => matrix.Fill(1, Output((5, 40))), "rows 1 to 6 of 6, expected whole pieces of 6 rows");
        Refuses(() => matrix.Fill(0, Output((5, 40))), "rows 0 to 5 of 6, expected whole pieces of 6 rows");
        Refuses(() => matrix.Dequantize(2, Output((5, 40))), "rows 2 to 7 and columns 0 to 40");
        Refuses(() => matrix.Dequantize(0, 39, Output((6, 2))), "columns 39 to 41");
        Refuses(() => new CompressedScales(Device, 3, float.NaN), "mean is NaN");
        using CompressedScales three = new(Device, 3, 0);
        Refuses(() => matrix.UseCompressed(three), "Codes is [3], expected [4]");
        matrix.Fill(0, Input((6, 40), DType.F32, out _));
        matrix.CompressScales();
        Assert.That(matrix.CompressScales, Throws.InvalidOperationException.With.Message.Contains("already"));
        Assert.That(
            () => matrix.Fill(0, Output((6, 40))),
            Throws.InvalidOperationException.With.Message.Contains("compressed")
        );

        static void Refuses(Action code, string text) =>
            Assert.That(code, Throws.InstanceOf<ArgumentException>().With.Message.Contains(text));
    }

    [Test]
    public void PiecesEndWithBlocksAndBytes()
    {
        Assert.That(Pieces(WeightFormat.Nf4, ScaleGrid.Flat(64), 4096), Is.EqualTo(1));
        Assert.That(Pieces(WeightFormat.Nf4, ScaleGrid.Flat(64), 40), Is.EqualTo(8));
        Assert.That(Pieces(WeightFormat.Nf4, ScaleGrid.Flat(64), 33), Is.EqualTo(64));
        Assert.That(Pieces(WeightFormat.Nf4, ScaleGrid.Flat(4096), 33), Is.EqualTo(1000), "all rows");
        Assert.That(Pieces(WeightFormat.Fp8, ScaleGrid.Tiles(128, 128), 33), Is.EqualTo(128));
        Assert.That(Pieces(WeightFormat.Int8, ScaleGrid.PerRow, 33), Is.EqualTo(1));
        Assert.That(Pieces(WeightFormat.Mxfp4, ScaleGrid.Tiles(1, 32), 33), Is.EqualTo(2), "two rows share a byte");
        Assert.That(Pieces(WeightFormat.Fp8, ScaleGrid.PerTensor, 33), Is.EqualTo(1000));

        int Pieces(WeightFormat format, ScaleGrid grid, int columns)
        {
            using QuantizedMatrix matrix = new(Device, 1000, columns, new QuantizedLayout(format, grid));
            return matrix.PieceRows;
        }
    }

    private void RequireLikeReference(QuantizedLayout layout, int rows, int columns, float[] values)
    {
        QuantizedReference reference = new(values, rows, columns, layout);
        using QuantizedMatrix matrix = new(Device, rows, columns, layout);
        byte[] ones = new byte[matrix.Codes.Bytes];
        Array.Fill(ones, (byte)0xFF);
        matrix.Codes.CopyFrom(ones.AsSpan());
        matrix.Fill(0, Input(values, (rows, columns), DType.F32, out _));
        Assert.That(
            matrix.Scales!.ToArray(),
            Is.EqualTo(reference.Scales.OrderBy(block => block.Key).Select(block => block.Value)),
            "scales"
        );
        Assert.That(BytesOf(matrix.Codes), Is.EqualTo(reference.Bytes()), "codes");
        Assert.That(Read(matrix), Is.EqualTo(reference.Values), "values");
    }

    private float[] Read(QuantizedMatrix matrix)
    {
        Tensor read = Output((matrix.Rows, matrix.Columns));
        matrix.Dequantize(0, read);
        return read.ToArray();
    }

    private float[] Normal((int Rows, int Columns) shape) =>
        [.. Enumerable.Range(0, shape.Rows * shape.Columns).Select(_ => (float)Rng.NextNormal())];

    private static byte[] BytesOf(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        tensor.CopyTo(bytes.AsSpan());
        return bytes;
    }
}
