using Spectral.Kernels.Linalg;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Linalg;

/// <summary>The passes and small products of the randomized SVD, batched, against plain loops.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SketchTests(DeviceKind kind) : DeviceTest(kind)
{
    private const int Batch = 2;

    // Tails of 128 rows and 32 of depth, each tile of vectors with whole 16-byte units and without, several groups of
    // them, and depths that are divided into shares.
    [TestCase(1, 1, 1)]
    [TestCase(7, 33, 3)]
    [TestCase(33, 7, 32)]
    [TestCase(136, 264, 24)]
    [TestCase(127, 130, 33)]
    [TestCase(130, 1000, 96)]
    [TestCase(1000, 264, 90)]
    [TestCase(64, 136, 154)]
    [TestCase(40, 50, 170)]
    public void PassesAreAccurateToF32(int rows, int columns, int vectors)
    {
        double[][] w = new double[Batch][];
        var matrices = new Tensor[Batch];
        for (int b = 0; b < Batch; b++)
            matrices[b] = Input((rows, columns), DType.BF16, out w[b]);
        using Tensor table = AddressTable.Upload(Device, [matrices[0].Pointer, matrices[1].Pointer]);
        foreach (bool transposed in new[] { false, true })
        {
            (int depth, int other) = transposed ? (rows, columns) : (columns, rows);
            Tensor x = Input((Batch, vectors, depth), DType.F32, out double[] values);
            Tensor y = Output((Batch, vectors, other));
            Tensor parts = Split(values, vectors, depth);
            SketchPass.Run(
                table,
                rows,
                columns,
                transposed,
                parts,
                vectors,
                new GemmOperand(y, 0, other, (long)vectors * other),
                Batch
            );
            double[] expected = new double[y.Count];
            double[] magnitude = new double[y.Count];
            for (int b = 0; b < Batch; b++)
            {
                for (int j = 0; j < vectors; j++)
                {
                    for (int o = 0; o < other; o++)
                    {
                        for (int d = 0; d < depth; d++)
                        {
                            double product =
                                values[(b * vectors + j) * depth + d]
                                * w[b][transposed ? d * columns + o : o * columns + d];
                            expected[(b * vectors + j) * other + o] += product;
                            magnitude[(b * vectors + j) * other + o] += Math.Abs(product);
                        }
                    }
                }
            }

            Verify(y, expected, magnitude, depth, transposed ? "transposed" : "plain");
        }
    }

    [TestCase(1, 1, 1)]
    [TestCase(80, 129, 80)]
    [TestCase(33, 7, 70)]
    [TestCase(65, 66, 1000)]
    [TestCase(24, 24, 2049)]
    public void Products(int m, int n, int k)
    {
        foreach ((bool transposeA, bool transposeB) in new[] { (false, false), (false, true), (true, false) })
        {
            Tensor a = Input((Batch, m * k), DType.F32, out double[] av);
            Tensor b = Input((Batch, k * n), DType.F32, out double[] bv);
            bool divided = k > 256; // then there is neither an addend nor a split result
            Tensor d = Input((Batch, m * n), DType.F32, out double[] dv);
            Tensor c = Output((Batch, m, n));
            Tensor parts = Output((Batch, 3, m, n), DType.BF16);
            SketchProduct.Run(
                new GemmOperand(a, 0, transposeA ? m : k, m * k) with
                {
                    Transposed = transposeA,
                },
                new GemmOperand(b, 0, transposeB ? k : n, k * n) with
                {
                    Transposed = transposeB,
                },
                new GemmOperand(c, 0, n, m * n),
                new GemmSize(m, n, k, Batch),
                alpha: divided ? 1 : -2,
                d: divided ? null : new GemmOperand(d, 0, n, m * n),
                parts: divided ? null : parts
            );
            double[] expected = new double[c.Count];
            double[] magnitude = new double[c.Count];
            for (int batch = 0; batch < Batch; batch++)
            {
                for (int i = 0; i < m; i++)
                {
                    for (int j = 0; j < n; j++)
                    {
                        int at = (batch * m + i) * n + j;
                        for (int e = 0; e < k; e++)
                        {
                            double product =
                                av[batch * m * k + (transposeA ? e * m + i : i * k + e)]
                                * bv[batch * k * n + (transposeB ? j * k + e : e * n + j)];
                            expected[at] += (divided ? 1 : -2) * product;
                            magnitude[at] += 2 * Math.Abs(product);
                        }
                        if (divided)
                            continue;
                        expected[at] += dv[at];
                        magnitude[at] += Math.Abs(dv[at]);
                    }
                }
            }

            string what = $"{transposeA} {transposeB}";
            Verify(c, expected, magnitude, k, what);
            if (divided)
                continue;
            float[] whole = c.ToArray();
            float[] part = parts.ToArray();
            for (int i = 0; i < whole.Length; i++)
            {
                int at = i / (m * n) * 3 * m * n + i % (m * n);
                Assert.That(
                    (double)part[at] + part[at + m * n] + part[at + 2 * m * n],
                    Is.EqualTo((double)whole[i]),
                    $"{what}: the parts make up element {i}"
                );
            }
        }
    }

    [Test]
    public void AMatrixGetsTheSameBitsInAnyBatch()
    {
        const int M = 80;
        const int N = 520;
        Tensor a = Input((Batch, M, M), DType.F32, out _);
        Tensor b = Input((Batch, M, N), DType.F32, out _);
        Tensor both = Output((Batch, M, N));
        Tensor core = Output((Batch, M, M));
        SketchProduct.Run(Whole(a), Whole(b), Whole(both), new GemmSize(M, N, M, Batch));
        SketchProduct.Run(Whole(b), Whole(b).Transpose(), Whole(core), new GemmSize(M, M, N, Batch));
        for (int i = 0; i < Batch; i++)
        {
            using Tensor ai = a.Rows(i, 1);
            using Tensor bi = b.Rows(i, 1);
            using Tensor together = both.Rows(i, 1);
            using Tensor coreTogether = core.Rows(i, 1);
            Tensor alone = Output((1, M, N));
            Tensor coreAlone = Output((1, M, M));
            SketchProduct.Run(Whole(ai), Whole(bi), Whole(alone), new GemmSize(M, N, M, 1));
            SketchProduct.Run(Whole(bi), Whole(bi).Transpose(), Whole(coreAlone), new GemmSize(M, M, N, 1));
            Assert.That(alone.ToArray(), Is.EqualTo(together.ToArray()));
            Assert.That(coreAlone.ToArray(), Is.EqualTo(coreTogether.ToArray()));
        }
    }

    [Test]
    public void TheLargestMagnitudeIsFoundPerMatrix(
        [Values(0, 1023, 1024, 2499)] int at,
        [Values(-7e20f, float.NaN, float.NegativeInfinity)] float value
    )
    {
        const int Count = 2500;
        float[] host = new float[Batch * Count];
        host[5] = -0.5f;
        host[Count + at] = value;
        Tensor y = Input(host, (Batch, 1, Count), DType.F32, out _);
        using var status = Tensor.Zeros(Device, 2 * Batch, DType.I32);
        SketchPass.Largest(Whole(y), Count, Batch, status.Pointer, 2);
        float expected = float.IsFinite(value) ? -value : float.PositiveInfinity;
        Assert.That(
            Array.ConvertAll(status.ToInt32Array(), BitConverter.Int32BitsToSingle),
            Is.EqualTo(new[] { 0.5f, 0, expected, 0 })
        );
    }

    [Test]
    public void GaussianBatchesAreSplitIntoParts()
    {
        Tensor y = Output((2, 5, 300));
        Tensor parts = Output((2, 3, 5, 300), DType.BF16);
        Tensor one = Output((5, 300));
        using (Tensor streams = AddressTable.Upload(Device, [9UL, 1UL << 40]))
            GaussianMatrix.Run(y, 4, streams, parts);
        GaussianMatrix.Run(one, 4, 1UL << 40);
        float[] all = y.ToArray();
        float[] part = parts.ToArray();
        Assert.That(all[1500..], Is.EqualTo(one.ToArray()));
        for (int i = 0; i < all.Length; i++)
        {
            int at = i / 1500 * 4500 + i % 1500;
            Assert.That(
                (double)part[at] + part[at + 1500] + part[at + 3000],
                Is.EqualTo((double)all[i]),
                $"element {i}"
            );
        }
    }

    [Test]
    public void GramsNormsAndTransposesOfBatches()
    {
        const int Rows = 7;
        const int Columns = 300;
        Tensor x = Input((Batch, Rows, Columns), DType.F32, out double[] values);
        Tensor t = Output((Batch, Columns, Rows));
        Tensor norms = Output(Batch * 10);
        using var grams = Tensor.Empty(Device, (Batch, Rows, Rows), DType.F64);
        using var deviations = Tensor.Zeros(Device, 6, DType.I32);
        Gram.Run(Whole(x), Columns, grams, deviations.Pointer, 3);
        SvdSteps.Norms(x, norms.Pointer, 10);
        MatrixCopy.TransposeEach(x, t);
        double[] gram = grams.ToDoubleArray();
        float[] transposed = t.ToArray();
        float[] norm = norms.ToArray();
        int[] deviation = deviations.ToInt32Array();
        for (int b = 0; b < Batch; b++)
        {
            double worst = 0;
            for (int i = 0; i < Rows; i++)
            {
                for (int j = 0; j < Rows; j++)
                {
                    double dot = 0;
                    for (int e = 0; e < Columns; e++)
                        dot += values[(b * Rows + i) * Columns + e] * values[(b * Rows + j) * Columns + e];
                    Assert.That(gram[(b * Rows + i) * Rows + j], Is.EqualTo(dot).Within(1e-10));
                    if (i == j)
                        Assert.That(norm[b * 10 + i], Is.EqualTo(Math.Sqrt(dot)).Within(1e-5).Percent);
                    worst = Math.Max(worst, Math.Abs(dot - (i == j ? 1 : 0)));
                }
                for (int e = 0; e < Columns; e++)
                {
                    Assert.That(
                        transposed[(b * Columns + e) * Rows + i],
                        Is.EqualTo((float)values[(b * Rows + i) * Columns + e])
                    );
                }
            }
            Assert.That(BitConverter.Int32BitsToSingle(deviation[3 * b]), Is.EqualTo(worst).Within(1e-4).Percent);
        }
    }

    private static GemmOperand Whole(Tensor x) => new(x, 0, x.Dim(2), (long)x.Dim(1) * x.Dim(2));

    // Each F32 value as three BF16 numbers that make it up, written down independently of the kernels.
    private Tensor Split(double[] values, int vectors, int length)
    {
        int plane = vectors * length;
        float[] parts = new float[3 * values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            double rest = values[i];
            for (int p = 0; p < 3; p++)
            {
                float part = BFloat16.Round((float)rest);
                parts[(i / plane * 3 + p) * plane + i % plane] = part;
                rest -= part;
            }
            Assert.That(rest, Is.Zero);
        }
        return Input(parts, (Batch, 3, vectors, length), DType.BF16, out _);
    }
}
