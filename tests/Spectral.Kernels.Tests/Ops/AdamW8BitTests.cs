using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;
using Spectral.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class AdamW8BitTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly float[] Signed = DynamicCodes.Values(isSigned: true);
    private static readonly float[] Unsigned = DynamicCodes.Values(isSigned: false);

    /// <summary>
    /// Each step is compared with double precision from the state that the step before has stored: a number near the
    /// middle between two codes may go either way.
    /// </summary>
    [Test]
    public void TenStepsFollowTheFormula(
        [Values(1, 7, 255, 256, 257, 1000, 5003)] int count,
        [Values(0, 0.5)] double maxNorm,
        [Values(1f, 2.5f)] float rate
    )
    {
        const double Decay = 0.1;
        const double Epsilon = 1e-3;
        Tensor parameter = Input(count, DType.F32, out double[] p);
        (Tensor m, Tensor mMost) = Codes(count);
        (Tensor v, Tensor vMost) = Codes(count);
        Tensor norm = Output(1);
        using StepState state = new(Device);
        for (int t = 1; t <= 10; t++)
        {
            double[] first = DynamicCodes.Decode(m.ToInt32Array(), mMost.ToArray(), count, isSigned: true);
            double[] second = DynamicCodes.Decode(v.ToInt32Array(), vMost.ToArray(), count, isSigned: false);
            var settings = new AdamWSettings(0.01 / t, 0.9, 0.99, Epsilon, Decay, maxNorm);
            state.Configure(settings);
            Tensor gradient = Input(count, DType.F32, out double[] g, deviation: 3);
            GlobalNorm.Run([gradient], norm);
            state.Advance(norm);
            AdamW8Bit.Step(parameter, gradient, m, mMost, v, vMost, state, rate);

            double clip = maxNorm > 0 ? Math.Min(1, maxNorm / (Math.Sqrt(g.Sum(x => x * x)) + 1e-6)) : 1;
            for (int i = 0; i < count; i++)
            {
                double clipped = g[i] * clip;
                first[i] = 0.9 * first[i] + (1 - 0.9) * clipped;
                second[i] = 0.99 * second[i] + (1 - 0.99) * clipped * clipped;
                double mean = first[i] / (1 - Math.Pow(0.9, t));
                double square = second[i] / (1 - Math.Pow(0.99, t));
                double step = rate * settings.LearningRate;
                p[i] = p[i] * (1 - step * Decay) - step * mean / (Math.Sqrt(square) + Epsilon);
            }

            RequireStored(m, mMost, first, isSigned: true);
            RequireStored(v, vMost, second, isSigned: false);
        }

        // ten steps, each of a few roundings of numbers not above |p| + 1
        Verify(parameter, p, p.Select(x => Math.Abs(x) + 1).ToArray(), 10, "parameter");
    }

    /// <summary>One launch for all of a batch gives the bits of a step of each, and leaves what lies between.</summary>
    [TestCase(3, 7, 41, 5)]
    [TestCase(2, 16, 64, 4)]
    public void MatricesOfABatchStepAsAlone(int count, int rows, int columns, int apart)
    {
        const int Offset = 4;
        int size = rows * columns;
        Tensor all = Input(Offset + count * (size + apart), DType.F32, out double[] before);
        Tensor gradients = Input(all.Shape, DType.F32, out double[] g);
        (Tensor m, Tensor mMost) = Batch();
        (Tensor v, Tensor vMost) = Batch();
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.01, WeightDecay: 0.1));
        state.Advance(null);
        MatrixBatch batch = new(all, Offset, rows, columns, count, size + apart);
        AdamW8Bit.Step(batch, batch with { Tensor = gradients }, m, mMost, v, vMost, state, 2);
        double[] expected = [.. before];
        for (int i = 0; i < count; i++)
        {
            int begin = Offset + i * (size + apart);
            Tensor parameter = Input(Part(before), (rows, columns), DType.F32, out _);
            Tensor gradient = Input(Part(g), (rows, columns), DType.F32, out _);
            (Tensor ownM, Tensor ownMMost) = Codes(size);
            (Tensor ownV, Tensor ownVMost) = Codes(size);
            AdamW8Bit.Step(parameter, gradient, ownM, ownMMost, ownV, ownVMost, state, 2);
            Array.ConvertAll(parameter.ToArray(), value => (double)value).CopyTo(expected, begin);
            Range words = new(i * ownM.Dim(0), (i + 1) * ownM.Dim(0));
            Range blocks = new(i * ownMMost.Dim(0), (i + 1) * ownMMost.Dim(0));
            Assert.That(m.ToInt32Array()[words], Is.EqualTo(ownM.ToInt32Array()));
            Assert.That(v.ToInt32Array()[words], Is.EqualTo(ownV.ToInt32Array()));
            Assert.That(mMost.ToArray()[blocks], Is.EqualTo(ownMMost.ToArray()));
            Assert.That(vMost.ToArray()[blocks], Is.EqualTo(ownVMost.ToArray()));

            float[] Part(double[] values) => [.. values[begin..(begin + size)].Select(value => (float)value)];
        }

        Assert.That(all.ToArray(), Is.EqualTo(expected));

        (Tensor, Tensor) Batch() =>
            (
                Input(new int[count * AdamW8Bit.Words(size)], (count, AdamW8Bit.Words(size))),
                Input(new float[count * AdamW8Bit.Blocks(size)], (count, AdamW8Bit.Blocks(size)), DType.F32, out _)
            );
    }

    /// <summary>
    /// With β₁ = ½, ε = 1 and no second moment the first step moves by the value of a code; with the second moment and
    /// m = 1, by 1/√v.
    /// </summary>
    [Test]
    public void TheCodesHaveTheValuesOfBitsandbytes()
    {
        // published with models and kernels that read its files, as F32
        Assert.That(
            new[] { Signed[0], Signed[1], Signed[63], Signed[126], Signed[127], Signed[128], Signed[129], Signed[138] },
            Is.EqualTo([
                -0.992968738079071f,
                -0.9789062738418579f,
                -0.10703125596046448f,
                -5.499999815583578e-07f,
                0f,
                5.499999815583578e-07f,
                3.2499999633728294e-06f,
                0.000493750034365803f,
            ])
        );
        Assert.That(new[] { Signed[255], Unsigned[0], Unsigned[255] }, Is.EqualTo([1f, 0f, 1f]));
        Assert.That(First(Words(code => code), new int[64], 0), Is.EqualTo(Array.ConvertAll(Signed, value => -value)));
        float[] roots = First(Words(_ => 255), Words(code => code), 1);
        double[] squares = [.. roots.Skip(1).Select(root => 1 / (double)root / root)];
        Assert.That(squares, Is.EqualTo(Unsigned.Skip(1)).Within(1e-4).Percent, "a few roundings");

        float[] First(int[] mean, int[] meanOfSquares, float most)
        {
            Tensor parameter = Input(new float[256], 256, DType.F32, out _);
            using StepState state = new(Device);
            state.Configure(new AdamWSettings(1, 0.5, 0.5, most > 0 ? 1e-30 : 1, WeightDecay: 0));
            state.Advance(null);
            AdamW8Bit.Step(
                parameter,
                Input(new float[256], 256, DType.F32, out _),
                Input(mean, 64),
                Input([1f], 1, DType.F32, out _),
                Input(meanOfSquares, 64),
                Input([most], 1, DType.F32, out _),
                state
            );
            return parameter.ToArray();
        }
    }

    [Test]
    public void AStoredNumberIsStoredAgainByItsCode()
    {
        Tensor parameter = Input(256, DType.F32, out _);
        (Tensor m, Tensor mMost) = (Input(Words(code => code), 64), Input([2f], 1, DType.F32, out _));
        (Tensor v, Tensor vMost) = (Input(Words(code => code), 64), Input([2f], 1, DType.F32, out _));
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1, 0.5, 0.5));
        state.Advance(null);
        AdamW8Bit.Step(parameter, Input(new float[256], 256, DType.F32, out _), m, mMost, v, vMost, state);
        Assert.That(m.ToInt32Array(), Is.EqualTo(Words(code => code)));
        Assert.That(v.ToInt32Array(), Is.EqualTo(Words(code => code)));
        Verify(mMost, [1]);
        Verify(vMost, [1]);
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        Tensor parameter = Input(9, DType.F32, out double[] p);
        (Tensor m, Tensor v) = (Input([1, 2, 3], 3), Input([4, 5, 6], 3));
        (Tensor mMost, Tensor vMost) = (Input([7f], 1, DType.F32, out _), Input([8f], 1, DType.F32, out _));
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([float.NaN], 1, DType.F32, out _));
        AdamW8Bit.Step(parameter, Input(9, DType.F32, out _), m, mMost, v, vMost, state);
        Verify(parameter, p);
        Assert.That(m.ToInt32Array(), Is.EqualTo([1, 2, 3]));
        Assert.That(v.ToInt32Array(), Is.EqualTo([4, 5, 6]));
        Verify(mMost, [7]);
        Verify(vMost, [8]);
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = new(Device);
        (Tensor none, Tensor words) = (Output(0), Output(0, DType.I32));
        AdamW8Bit.Step(none, none, words, none, words, none, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Tensor p = Output(300);
        (Tensor words, Tensor most) = (Output(75, DType.I32), Output(2));
        Assert.That(
            () => AdamW8Bit.Step(p, Output(5), words, most, words, most, state),
            Throws.ArgumentException.With.Message.Contains("gradient is [5], expected [300]")
        );
        Assert.That(
            () => AdamW8Bit.Step(p, p, Output(74, DType.I32), most, words, most, state),
            Throws.ArgumentException.With.Message.Contains("m is [74], expected [75]")
        );
        Assert.That(
            () => AdamW8Bit.Step(p, p, words, most, words, Output(1), state),
            Throws.ArgumentException.With.Message.Contains("vMost is [1], expected [2]")
        );
        Assert.That(
            () => AdamW8Bit.Step(p, p, words, most, Output(75), most, state),
            Throws.ArgumentException.With.Message.Contains("v is F32, expected I32")
        );
        Assert.That(
            () => AdamW8Bit.Step(p, p, words, most, words, most, state, -1),
            Throws.ArgumentException.With.Message.Contains("rate is -1")
        );
    }

    private (Tensor Codes, Tensor Most) Codes(int count) =>
        (
            Input(new int[AdamW8Bit.Words(count)], AdamW8Bit.Words(count)),
            Input(new float[AdamW8Bit.Blocks(count)], AdamW8Bit.Blocks(count), DType.F32, out _)
        );

    private static int[] Words(Func<int, int> codeOf) =>
        [.. Enumerable.Range(0, 64).Select(word => Enumerable.Range(0, 4).Sum(i => codeOf(4 * word + i) << 8 * i))];

    private static void RequireStored(Tensor codes, Tensor most, double[] numbers, bool isSigned)
    {
        double[] stored = DynamicCodes.Decode(codes.ToInt32Array(), most.ToArray(), numbers.Length, isSigned);
        // three roundings of terms up to about 1, which may cancel
        Assert.That(DynamicCodes.FirstWrong(numbers, stored, most.ToArray(), isSigned, 5e-7), Is.EqualTo(-1));
    }
}
