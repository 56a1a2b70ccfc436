using Spectral.Kernels.Driver;
using Spectral.Kernels.Interop;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

/// <summary>
/// A grid has at most 65,535 blocks along y and z, on a GPU and on the CPU device. Every op whose blocks there grow
/// with a size of its tensors runs beyond that, with all other sizes as small as they can be.
/// </summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class GridLimitTests(DeviceKind kind) : DeviceTest(kind)
{
    private const int Period = 7; // of what the matrices of a batch hold
    private const int Many = Launch.MostAlongY + 3;

    // What each op leaves of a batch, one array for each output, the matrices one after another.
    private static readonly (string Name, Func<GridLimitTests, int, float[][]> Run)[] Batches =
    [
        ("adamw_8bit", (test, count) => test.AdamW8BitSteps(count)),
        ("muon", (test, count) => test.MuonSteps(count)),
        ("muon_8bit", (test, count) => test.Muon8BitSteps(count)),
        ("adafactor", (test, count) => test.AdafactorSteps(count)),
        ("clip_quantile", (test, count) => test.Clipped(count)),
        ("gram", (test, count) => test.Grams(count)),
        ("matrix_transpose", (test, count) => test.Transposed(count)),
        ("gaussian_matrix", (test, count) => test.Normals(count)),
        ("sketch_pass", (test, count) => test.Passes(count)),
        ("sketch_reduce", (test, count) => test.Reduced(count)),
        ("sketch_product", (test, count) => test.Products(count)),
        ("svd_truncate", (test, count) => test.Truncated(count)),
        ("svd_norms", (test, count) => test.Norms(count)),
        ("attention_decode", (test, count) => test.Decoded(count)),
    ];

    // Sums over more rows than 65,535 blocks take in chunks of the usual size, and elements of as many rows.
    private static readonly (string Name, int Rows, Action<GridLimitTests, int> Check)[] Rows =
    [
        ("low_rank_merge", 4 * Launch.MostAlongY + 5, (test, rows) => test.Merges(rows)),
        ("gaussian_matrix", 4 * Launch.MostAlongY + 5, (test, rows) => test.DrawsVectors(rows)),
        ("bias_gradient", 64 * Launch.MostAlongY + 1, (test, rows) => test.SumsBiases(rows)),
        ("scale_gradient", 64 * Launch.MostAlongY + 1, (test, rows) => test.SumsScales(rows)),
        ("scale_shift", 64 * Launch.MostAlongY + 1, (test, rows) => test.Scales(rows)),
        ("rms_norm", 32 * Launch.MostAlongY + 1, (test, rows) => test.SumsRmsWeights(rows)),
        ("layer_norm", 32 * Launch.MostAlongY + 1, (test, rows) => test.SumsLayerWeights(rows)),
    ];

    private static IEnumerable<string> BatchNames => Batches.Select(op => op.Name);

    private static IEnumerable<string> RowNames => Rows.Select(op => op.Name);

    /// <summary>The CPU device refuses what a GPU does, or these tests would prove nothing.</summary>
    [Test]
    public void MoreBlocksAlongYOrZAreRefused()
    {
        Tensor x = Output(1);
        var args = new ScaleArgs { X = x.Pointer };
        foreach (Grid grid in new Grid[] { (1, Launch.MostAlongY + 1), (1, 1, Launch.MostAlongY + 1) })
        {
            Assert.That(
                () => ScaleArgs.Kernel.Launch(Device, DType.F32, args, grid),
                Throws.TypeOf<CudaException>().With.Message.Contains("CUDA_ERROR_INVALID_VALUE")
            );
        }
    }

    /// <summary>
    /// Each matrix of a large batch gives what it gives in a batch of 7, which the ops' own tests compare with their
    /// formulas: the same bits, but for the products of Muon, which a library may cut otherwise.
    /// </summary>
    [Test]
    public void BatchesOfAnyLengthRun([ValueSource(nameof(BatchNames))] string name)
    {
        if (Device.CpuKernels == CpuKernels.Ptx)
            Assert.Ignore("the host divides batches in the same way for PTX, which takes a minute more");
        double tolerance = name.StartsWith("muon", StringComparison.Ordinal) ? 1e-5 : 0; // of steps 0.01 long
        Func<GridLimitTests, int, float[][]> run = Batches.Single(op => op.Name == name).Run;
        float[][] few = run(this, Period);
        float[][] many = run(this, Many);
        for (int output = 0; output < few.Length; output++)
        {
            int size = few[output].Length / Period;
            Assert.That(many[output], Has.Length.EqualTo((long)size * Many));
            Assert.That(few[output], Has.None.NaN, "an output of the small batch");
            for (int i = 0; i < Many; i++)
            {
                for (int e = 0; e < size; e++)
                {
                    (float expected, float found) = (few[output][i % Period * size + e], many[output][i * size + e]);
                    if (!(Math.Abs(found - expected) <= tolerance))
                        Assert.Fail($"output {output}, matrix {i}, element {e}: {found}, expected {expected}");
                }
            }
        }
    }

    /// <summary>Counters of a second launch are those of its own matrices.</summary>
    [Test]
    public void CountersOfQuantilesFollowTheirMatrices()
    {
        Tensor x = Matrices(Period, 1, 3);
        float[][] bins =
        [
            .. new[] { Period, 3 }.Select(first =>
            {
                using var counted = Tensor.Zeros(Device, (Period, ClipQuantileArgs.BinsPerMatrix), DType.I32);
                var args = new ClipQuantileArgs
                {
                    X = x.Pointer,
                    Bins = counted.Pointer,
                    Chosen = x.Pointer, // not read in the first round
                    Count = 3,
                    Shift = 20,
                    Bits = 11,
                };
                ClipQuantileArgs.Counting.Launch(Device, args, (1, first));
                IBatchArgs rest = args;
                rest.Skip(first);
                if (first < Period)
                    ClipQuantileArgs.Counting.Launch(Device, (ClipQuantileArgs)rest, (1, Period - first));
                return Words(counted);
            }),
        ];
        Assert.That(bins[1], Is.EqualTo(bins[0]));
        Assert.That(bins[0].Sum(), Is.EqualTo(2 * 3 * Period), "each element counts for both magnitudes");
    }

    /// <summary>Matrices of any number of rows are read and written to their ends.</summary>
    [Test]
    public void MatricesOfAnyHeightRun([ValueSource(nameof(RowNames))] string name)
    {
        (_, int rows, Action<GridLimitTests, int> check) = Rows.Single(op => op.Name == name);
        check(this, rows);
    }

    private float[][] AdamW8BitSteps(int count)
    {
        const int Size = 5;
        (MatrixBatch parameter, MatrixBatch gradient, StepState state) = Step(count, 1, Size);
        using StepState owned = state;
        using var m = Tensor.Zeros(Device, (count, AdamW8Bit.Words(Size)), DType.I32);
        using var mMost = Tensor.Zeros(Device, (count, AdamW8Bit.Blocks(Size)));
        using var v = Tensor.Zeros(Device, m.Shape, DType.I32);
        using var vMost = Tensor.Zeros(Device, mMost.Shape);
        AdamW8Bit.Step(parameter, gradient, m, mMost, v, vMost, state);
        return [parameter.Tensor.ToArray(), Words(m), mMost.ToArray(), Words(v), vMost.ToArray()];
    }

    private float[][] MuonSteps(int count)
    {
        (MatrixBatch parameter, MatrixBatch gradient, StepState state) = Step(count, 2, 3);
        using StepState owned = state;
        using var m = Tensor.Zeros(Device, (count, 2, 3));
        Muon.Step(parameter, gradient, m, 0.9f, 1, state);
        return [parameter.Tensor.ToArray(), m.ToArray()];
    }

    private float[][] Muon8BitSteps(int count)
    {
        (MatrixBatch parameter, MatrixBatch gradient, StepState state) = Step(count, 2, 3);
        using StepState owned = state;
        using var m = Tensor.Zeros(Device, (count, Muon8Bit.Words(6)), DType.I32);
        using var most = Tensor.Zeros(Device, (count, Muon8Bit.Blocks(6)));
        Muon8Bit.Step(parameter, gradient, m, most, 0.9f, 1, state);
        return [parameter.Tensor.ToArray(), Words(m), most.ToArray()];
    }

    private float[][] AdafactorSteps(int count)
    {
        (MatrixBatch parameter, MatrixBatch gradient, StepState state) = Step(count, 3, 2);
        using StepState owned = state;
        using var rows = Tensor.Zeros(Device, (count, 3));
        using var columns = Tensor.Zeros(Device, (count, 2));
        using var share = Tensor.Zeros(Device, 1);
        Adafactor.Advance(share, 0.8f, state);
        Adafactor.Step(parameter, gradient, rows, columns, share, 1, state);
        return [parameter.Tensor.ToArray(), rows.ToArray(), columns.ToArray()];
    }

    // The last of the op's kernels; those before clear 4,096 counters a matrix, which takes a minute for so many.
    private float[][] Clipped(int count)
    {
        Tensor x = Matrices(count, 1, 3);
        float[] limits = [.. Values(count).Select(Math.Abs)];
        Tensor chosen = Input(
            [.. limits.SelectMany(limit => Enumerable.Repeat(limit, 4))],
            4 * count,
            DType.F32,
            out _
        );
        var args = new ClipQuantileArgs
        {
            X = x.Pointer,
            Chosen = chosen.Pointer,
            Count = 3,
        };
        Launch.Batch(ClipQuantileArgs.Clipping, Device, args, (1, count));
        return [x.ToArray()];
    }

    private float[][] Grams(int count)
    {
        Tensor x = Matrices(count, 2, 3);
        Tensor grams = Output((count, 2, 2), DType.F64);
        using var deviations = Tensor.Zeros(Device, count, DType.I32);
        Gram.Run(new GemmOperand(x, 0, 3, 6), 3, grams, deviations.Pointer, 1);
        return [Words(grams), Words(deviations)];
    }

    private float[][] Transposed(int count)
    {
        Tensor x = Matrices(count, 2, 3);
        Tensor y = Output((count, 3, 2));
        MatrixCopy.TransposeEach(x, y);
        return [y.ToArray()];
    }

    private float[][] Normals(int count)
    {
        Tensor y = Output((count, 1, 2));
        Tensor parts = Output((count, SketchPass.Parts, 1, 2), DType.BF16);
        using Tensor streams = AddressTable.Upload(
            Device,
            [.. Enumerable.Range(0, count).Select(i => (ulong)(i % Period))]
        );
        GaussianMatrix.Run(y, 3, streams, parts);
        return [y.ToArray(), parts.ToArray()];
    }

    private float[][] Passes(int count)
    {
        Tensor weights = Input(Values(Period * 2), (Period, 2), DType.BF16, out _);
        Tensor parts = Input(
            Values(count * SketchPass.Parts * 2, SketchPass.Parts * 2),
            (count, SketchPass.Parts, 1, 2),
            DType.BF16,
            out _
        );
        Tensor y = Output((count, 1, 1));
        using Tensor table = AddressTable.Upload(
            Device,
            [.. Enumerable.Range(0, count).Select(i => weights.Pointer + (ulong)(i % Period * 2 * DType.BF16.Size()))]
        );
        SketchPass.Run(table, 1, 2, false, parts, 1, new GemmOperand(y, 0, 1, 1), count);
        return [y.ToArray()];
    }

    private float[][] Reduced(int count)
    {
        Tensor partial = Matrices(count, 1, 2);
        Tensor y = Output((count, 2));
        using var status = Tensor.Zeros(Device, count, DType.I32);
        SketchPass.Reduce(
            new GemmOperand(partial, 0, 2, 2),
            0,
            1,
            new GemmOperand(y, 0, 2, 2),
            2,
            count,
            status.Pointer,
            1
        );
        return [y.ToArray(), Words(status)];
    }

    private float[][] Products(int count)
    {
        Tensor a = Matrices(count, 1, 2);
        Tensor d = Matrices(count, 1, 1);
        Tensor c = Output((count, 1, 1));
        Tensor parts = Output((count, SketchPass.Parts, 1, 1), DType.BF16);
        SketchProduct.Run(
            new GemmOperand(a, 0, 2, 2),
            new GemmOperand(a, 0, 2, 2, Transposed: true),
            new GemmOperand(c, 0, 1, 1),
            new GemmSize(1, 1, 2, count),
            1,
            new GemmOperand(d, 0, 1, 1),
            parts
        );
        return [c.ToArray(), parts.ToArray()];
    }

    private float[][] Truncated(int count)
    {
        Tensor values = Matrices(count, 1, 2);
        Tensor probes = Matrices(count, 1, 2);
        Tensor s = Input(new float[count * 2], (count, 2), DType.F32, out _);
        SvdSteps.Truncate(values.Pointer, s.Pointer, 2, probes, 0.1f);
        return [s.ToArray(), probes.ToArray()];
    }

    private float[][] Norms(int count)
    {
        Tensor x = Matrices(count, 1, 2);
        Tensor norms = Output(count);
        SvdSteps.Norms(x, norms.Pointer, 1);
        return [norms.ToArray()];
    }

    private float[][] Decoded(int count)
    {
        Tensor q = Matrices(count, 1, 1);
        Tensor keys = Input(Values(count * 2, 2), (count, 1, 2, 1), DType.F32, out _);
        Tensor values = Input(Values(count * 2, 2), (count, 1, 2, 1), DType.F32, out _);
        Tensor output = Output((count, 1, 1));
        Attention.Decode(q, keys, values, Input([.. Enumerable.Repeat(2, count)], count), output);
        return [output.ToArray()];
    }

    private void Merges(int rows)
    {
        Tensor weight = Input(Integers(rows), (rows, 1), DType.F32, out double[] w);
        Tensor left = Input(Integers(rows), (rows, 1), DType.F32, out double[] l);
        Tensor right = Input([2f], (1, 1), DType.F32, out _);
        LowRank.Merge(weight, new LowRankFactors(left, null, right, 3), weight);
        Same(weight, i => w[i] + 6 * l[i]);
    }

    private void DrawsVectors(int rows)
    {
        Tensor all = Output((rows, 1));
        Tensor first = Output((4, 1));
        Tensor other = Output((4, 1));
        GaussianMatrix.Run(all, 5, 1);
        GaussianMatrix.Run(first, 5, 1);
        GaussianMatrix.Run(other, 5, 2);
        float[] values = all.ToArray();
        Assert.That(values, Has.None.NaN);
        Assert.That(values[..4], Is.EqualTo(first.ToArray()).And.Not.EqualTo(other.ToArray()));
        Assert.That(values.Distinct().Count(), Is.GreaterThan(rows * 0.9), "vectors of their own");
        Assert.That(values.Average(value => (double)value), Is.EqualTo(0).Within(0.01));
    }

    private void SumsBiases(int rows)
    {
        Tensor dy = Input(Integers(rows), (rows, 1), DType.F32, out double[] values);
        Tensor sum = Output(1);
        BiasGradient.Run(dy, sum, accumulate: false);
        Same(sum, _ => values.Sum());
    }

    private void SumsScales(int rows)
    {
        Tensor dy = Input(Integers(rows), (rows, 1), DType.F32, out double[] values);
        Tensor sum = Output(1);
        ScaleShift.ScaleGradient(dy, dy, sum, accumulate: false);
        Same(sum, _ => values.Sum(value => value * value));
    }

    private void Scales(int rows)
    {
        Tensor x = Input(Integers(rows), (rows, 1), DType.F32, out double[] values);
        ScaleShift.Forward(x, Input([3f], 1, DType.F32, out _), Input([1f], 1, DType.F32, out _), x);
        Same(x, i => 3 * values[i] + 1);
    }

    private void SumsRmsWeights(int rows)
    {
        Tensor x = Input(Integers(rows), (rows, 1), DType.F32, out double[] values);
        Tensor ones = Input([.. Enumerable.Repeat(1f, rows)], rows, DType.F32, out _);
        Tensor sum = Output(1);
        using var dx = Tensor.Empty(Device, x.Shape);
        RmsNorm.Backward(x, Input([1f], 1, DType.F32, out _), ones, x, dx, dWeight: sum);
        Same(sum, _ => values.Sum(value => value * value));
    }

    private void SumsLayerWeights(int rows)
    {
        Tensor x = Input(Integers(rows), (rows, 1), DType.F32, out double[] values);
        float[] statistics = [.. Enumerable.Range(0, 2 * rows).Select(i => (float)(i % 2))]; // mean 0, factor 1
        Tensor sum = Output(1);
        using var dx = Tensor.Empty(Device, x.Shape);
        LayerNorm.Backward(
            x,
            Input([1f], 1, DType.F32, out _),
            Input(statistics, (rows, 2), DType.F32, out _),
            x,
            dx,
            dWeight: sum
        );
        Same(sum, _ => values.Sum(value => value * value));
    }

    private (MatrixBatch Parameter, MatrixBatch Gradient, StepState State) Step(int count, int rows, int columns)
    {
        MatrixBatch parameter = new(Matrices(count, rows, columns), 0, rows, columns, count, rows * columns);
        StepState state = new(Device);
        state.Configure(new AdamWSettings(0.01, WeightDecay: 0.1));
        state.Advance(null);
        return (parameter, parameter with { Tensor = Matrices(count, rows, columns) }, state);
    }

    private Tensor Matrices(int count, int rows, int columns) =>
        Input(Values(count * rows * columns, rows * columns), (count, rows, columns), DType.F32, out _);

    // Every seventh matrix is the same; all that BF16 holds exactly.
    private static float[] Values(int count, int size = 1) =>
        [.. Enumerable.Range(0, count).Select(i => (i % (Period * size) * 5 % 17 - 8) * 0.125f + 0.0625f)];

    // So small that F32 sums of all of them are exact.
    private static float[] Integers(int count) => [.. Enumerable.Range(0, count).Select(i => (float)(i % 3 - i % 2))];

    private static float[] Words(Tensor tensor)
    {
        byte[] bytes = new byte[tensor.Bytes];
        tensor.CopyTo(bytes.AsSpan());
        return Array.ConvertAll(bytes, value => (float)value);
    }

    private static void Same(Tensor tensor, Func<int, double> expected)
    {
        float[] found = tensor.ToArray();
        for (int i = 0; i < found.Length; i++)
        {
            if (!(found[i] == expected(i)))
                Assert.Fail($"element {i} is {found[i]}, expected {expected(i)}");
        }
    }
}
