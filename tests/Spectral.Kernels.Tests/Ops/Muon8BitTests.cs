using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class Muon8BitTests(DeviceKind kind) : DeviceTest(kind)
{
    private const float Momentum = 0.75f;

    /// <summary>One launch for all of a batch gives what a step of each gives, and leaves what lies between.</summary>
    [TestCase(3, 9, 230, 5)]
    [TestCase(2, 40, 64, 4)]
    public void MatricesOfABatchStepAsAlone(int count, int rows, int columns, int apart)
    {
        int size = rows * columns;
        Tensor all = Input(count * (size + apart), DType.F32, out double[] before);
        Tensor gradients = Input(all.Shape, DType.F32, out double[] g);
        using var codes = Tensor.Zeros(Device, (count, Muon8Bit.Words(size)), DType.I32);
        using var most = Tensor.Zeros(Device, (count, Muon8Bit.Blocks(size)));
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.01, WeightDecay: 0.1));
        state.Advance(null);
        MatrixBatch batch = new(all, 0, rows, columns, count, size + apart);
        Muon8Bit.Step(batch, batch with { Tensor = gradients }, codes, most, Momentum, 1.5f, state, 2);
        double[] expected = [.. before];
        for (int i = 0; i < count; i++)
        {
            int begin = i * (size + apart);
            Tensor parameter = Input(Part(before), (rows, columns), DType.F32, out _);
            Tensor gradient = Input(Part(g), (rows, columns), DType.F32, out _);
            (Tensor own, Tensor ownMost) = Codes(size);
            Muon8Bit.Step(parameter, gradient, own, ownMost, Momentum, 1.5f, state, 2);
            Array.ConvertAll(parameter.ToArray(), value => (double)value).CopyTo(expected, begin);
            Assert.That(codes.ToInt32Array()[(i * own.Dim(0))..((i + 1) * own.Dim(0))], Is.EqualTo(own.ToInt32Array()));
            Assert.That(
                most.ToArray()[(i * ownMost.Dim(0))..((i + 1) * ownMost.Dim(0))],
                Is.EqualTo(ownMost.ToArray())
            );

            float[] Part(double[] values) => [.. values[begin..(begin + size)].Select(value => (float)value)];
        }

        // Products of a batch may be cut otherwise than those of one matrix; steps are 0.03 long.
        Assert.That(all.ToArray(), Is.EqualTo(expected).Within(1e-5));
    }

    /// <summary>A step moves by what Muon's own makes of the momentum that was stored, and stores the next.</summary>
    [TestCase(1, 1)]
    [TestCase(1, 7)]
    [TestCase(33, 2)]
    [TestCase(16, 128)]
    [TestCase(48, 129)]
    public void StepsAreThoseOfMuonFromTheStoredMomentum(int rows, int columns)
    {
        int count = rows * columns;
        Tensor parameter = Input((rows, columns), DType.F32, out double[] p);
        (Tensor codes, Tensor most) = Codes(count);
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.01, WeightDecay: 0.1));
        for (int t = 1; t <= 3; t++)
        {
            double[] m = Stored(codes, most, count);
            Tensor gradient = Input((rows, columns), DType.F32, out double[] g);
            Tensor whole = Input(Array.ConvertAll(p, value => (float)value), (rows, columns), DType.F32, out _);
            Tensor momentum = Input(Array.ConvertAll(m, value => (float)value), (rows, columns), DType.F32, out _);
            state.Advance(null);
            Muon8Bit.Step(parameter, gradient, codes, most, Momentum, 1.5f, state, 2);
            Muon.Step(whole, gradient, momentum, Momentum, 1.5f, state, 2);
            // a singular value near 0 is multiplied by up to 485, and with it its rounding error; steps are 0.03 long
            Assert.That(parameter.ToArray(), Is.EqualTo(whole.ToArray()).Within(1e-5), $"after step {t}");
            p = Array.ConvertAll(parameter.ToArray(), value => (double)value);

            (double[] stored, float[] largest) = (Stored(codes, most, count), most.ToArray());
            for (int i = 0; i < count; i++)
            {
                double sum = Momentum * m[i] + g[i];
                Assert.That(
                    stored[i],
                    Is.EqualTo(sum).Within(largest[i / 2048] * (0.5 / 127 + 1e-6) + 1e-6),
                    $"{i} of {t}"
                );
            }

            for (int block = 0; block < largest.Length; block++)
            {
                int end = Math.Min(count, (block + 1) * 2048);
                double expected = Enumerable
                    .Range(block * 2048, end - block * 2048)
                    .Max(i => Math.Abs(Momentum * m[i] + g[i]));
                Assert.That(
                    largest[block],
                    Is.EqualTo(expected).Within(1e-6 * expected + 1e-6),
                    $"block {block} of {t}"
                );
            }
        }
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        Tensor parameter = Input((3, 4), DType.F32, out double[] p);
        (Tensor codes, Tensor most) = (Input([1, 2, 3], 3), Input([4f], 1, DType.F32, out _));
        using StepState state = new(Device);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(Input([float.NaN], 1, DType.F32, out _));
        Muon8Bit.Step(parameter, Input((3, 4), DType.F32, out _), codes, most, Momentum, 1, state);
        Verify(parameter, p);
        Assert.That(codes.ToInt32Array(), Is.EqualTo([1, 2, 3]));
        Verify(most, [4]);
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = new(Device);
        Tensor none = Output((0, 3));
        Muon8Bit.Step(none, none, Output(0, DType.I32), Output(0), Momentum, 1, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Tensor p = Output((2, 5));
        (Tensor codes, Tensor most) = (Output(3, DType.I32), Output(1));
        Assert.That(
            () => Muon8Bit.Step(p, Output((2, 3)), codes, most, Momentum, 1, state),
            Throws.ArgumentException.With.Message.Contains("gradient is [2, 3], expected [2, 5]")
        );
        Assert.That(
            () => Muon8Bit.Step(p, p, Output(10, DType.I32), most, Momentum, 1, state),
            Throws.ArgumentException.With.Message.Contains("m is [10], expected [3]")
        );
        Assert.That(
            () => Muon8Bit.Step(p, p, codes, Output(2), Momentum, 1, state),
            Throws.ArgumentException.With.Message.Contains("most is [2], expected [1]")
        );
        Assert.That(
            () => Muon8Bit.Step(p, p, codes, most, Momentum, 1, state, float.NaN),
            Throws.ArgumentException.With.Message.Contains("rate is NaN")
        );
    }

    private (Tensor Codes, Tensor Most) Codes(int count) =>
        (
            Input(new int[Muon8Bit.Words(count)], Muon8Bit.Words(count)),
            Input(new float[Muon8Bit.Blocks(count)], Muon8Bit.Blocks(count), DType.F32, out _)
        );

    private static double[] Stored(Tensor codes, Tensor most, int count)
    {
        (int[] words, float[] largest) = (codes.ToInt32Array(), most.ToArray());
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i => (sbyte)(words[i / 4] >> 8 * (i % 4)) / 127.0 * largest[i / Muon8Bit.Block]),
        ];
    }
}
