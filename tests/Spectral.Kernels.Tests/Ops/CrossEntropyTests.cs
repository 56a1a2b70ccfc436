using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class CrossEntropyTests(DeviceKind kind) : DeviceTest(kind)
{
    private const float GradientScale = 0.125f;

    // from 4097 on a row has several warps
    private static readonly int[] Vocabularies = [1, 2, 7, 33, 127, 1000, 4096, 4100, 9001];

    [Test]
    public void LossAndGradientMatchTheReference(
        [ValueSource(nameof(Vocabularies))] int vocabulary,
        [ValueSource(nameof(FloatTypes))] DType type
    )
    {
        const int Rows = 9;
        Tensor logits = Input((Rows, vocabulary), DType.F32, out double[] values, deviation: 3);
        Tensor losses = Output(Rows);
        Tensor dLogits = Output((Rows, vocabulary), type);
        int[] targets = Enumerable.Range(0, Rows).Select(i => i is 2 or 8 ? -1 : Rng.Next(vocabulary)).ToArray();
        targets[4] = vocabulary - 1;
        CrossEntropy.Run(logits, Input(targets, Rows), losses, dLogits, GradientScale);

        double[] loss = new double[Rows];
        double[] terms = new double[Rows];
        double[] gradient = new double[values.Length];
        double[] gradientTerms = new double[values.Length];
        for (int n = 0; n < Rows; n++)
        {
            if (targets[n] < 0)
                continue;
            double[] row = values[(n * vocabulary)..((n + 1) * vocabulary)];
            double max = row.Max();
            double sum = row.Sum(x => Math.Exp(x - max));
            loss[n] = Math.Log(sum) + max - row[targets[n]];
            terms[n] = Math.Log(sum) + Math.Abs(max) + Math.Abs(row[targets[n]]) + 1;
            for (int j = 0; j < vocabulary; j++)
            {
                double p = Math.Exp(row[j] - max) / sum;
                gradient[n * vocabulary + j] = GradientScale * (p - (j == targets[n] ? 1 : 0));
                // an exponent of up to 30 carries that many roundings
                gradientTerms[n * vocabulary + j] = GradientScale * (10 * p + (j == targets[n] ? 1 : 0));
            }
        }
        Verify(losses, loss, terms, vocabulary, "losses");
        Verify(dLogits, gradient, gradientTerms, vocabulary, "dLogits");
    }

    [Test]
    public void AScaleOnTheDeviceMultipliesTheOther([Values(7, 4100)] int vocabulary)
    {
        Tensor logits = Input((5, vocabulary), DType.F32, out _);
        Tensor targets = Input([0, 6, -1, 3, 2], 5);
        Tensor scale = Input([0.25f], 1, DType.F32, out _);
        Tensor losses = Output(5);
        Tensor byValue = Output((5, vocabulary));
        Tensor byAddress = Output((5, vocabulary));
        CrossEntropy.Run(logits, targets, losses, byValue, 0.5f);
        CrossEntropy.Run(logits, targets, losses, byAddress, 2, scale);
        Assert.That(byAddress.ToArray(), Is.EqualTo(byValue.ToArray()));
        Assert.That(
            () => CrossEntropy.Run(logits, targets, losses, byValue, 1, losses),
            Throws.ArgumentException.With.Message.Contains("scale is [5], expected [1]")
        );
    }

    [Test]
    public void GradientMayReplaceTheLogits([ValueSource(nameof(Vocabularies))] int vocabulary)
    {
        Tensor logits = Input((5, vocabulary), DType.F32, out _);
        Tensor targets = Input(Enumerable.Range(0, 5).Select(_ => Rng.Next(-1, vocabulary)).ToArray(), 5);
        Tensor losses = Output(5);
        Tensor lossesAgain = Output(5);
        Tensor dLogits = Output((5, vocabulary));
        CrossEntropy.Run(logits, targets, losses, dLogits, 1);
        CrossEntropy.Run(logits, targets, lossesAgain, logits, 1);
        Assert.That(logits.ToArray(), Is.EqualTo(dLogits.ToArray()));
        Assert.That(lossesAgain.ToArray(), Is.EqualTo(losses.ToArray()));
    }

    [Test]
    public void GradientIsThatOfTheLoss()
    {
        const double H = 1e-5;
        Tensor logits = Input((1, 50), DType.F32, out double[] values);
        Tensor losses = Output(1);
        Tensor dLogits = Output((1, 50));
        CrossEntropy.Run(logits, Input([17], 1), losses, dLogits, 1);
        float[] gradient = dLogits.ToArray();
        double Loss(int j, double h) =>
            Math.Log(values.Select((x, i) => Math.Exp(x + (i == j ? h : 0))).Sum()) - values[17] - (j == 17 ? h : 0);
        for (int j = 0; j < 50; j++)
        {
            // 1e-7: F32 rounding of numbers below 1; 1e-9: H² of the differences
            Assert.That(
                gradient[j],
                Is.EqualTo((Loss(j, H) - Loss(j, -H)) / (2 * H)).Within(1e-7 + 1e-9),
                $"logit {j}"
            );
        }
    }

    [Test]
    public void WithoutGradientOnlyTheLossIsWritten()
    {
        Tensor logits = Input((2, 5), DType.F32, out double[] values);
        Tensor losses = Output(2);
        CrossEntropy.Run(logits, Input([-1, 2], 2), losses, null, 1);
        Verify(losses, [0, Math.Log(values[5..].Sum(Math.Exp)) - values[7]], [1, 10], 5);
    }

    [Test]
    public void ATargetOutsideGivesANaNLossAndNoGradient([Values(-2, 5)] int target)
    {
        Tensor logits = Input((1, 5), DType.F32, out _);
        Tensor losses = Output(1);
        Tensor dLogits = Output((1, 5));
        CrossEntropy.Run(logits, Input([target], 1), losses, dLogits, 1);
        Assert.That(losses.ToArray()[0], Is.NaN);
        Assert.That(dLogits.ToArray(), Is.All.Zero);
    }

    [Test]
    public void HugeLogitsDoNotOverflow([Values(5, 5000)] int vocabulary)
    {
        float[] host = new float[vocabulary];
        Array.Fill(host, -3e38f);
        host[3] = 3e38f;
        Tensor logits = Input(host, (1, vocabulary), DType.F32, out _);
        Tensor losses = Output(1);
        Tensor dLogits = Output((1, vocabulary));
        CrossEntropy.Run(logits, Input([3], 1), losses, dLogits, 1);
        Assert.That(losses.ToArray()[0], Is.Zero);
        Assert.That(dLogits.ToArray(), Is.All.Zero);
    }

    [Test]
    public void ANaNIsNotLostAmongMinusInfinities([Values(0, 4, 5)] int at, [Values(12, 5000)] int vocabulary)
    {
        float[] host = new float[vocabulary];
        Array.Fill(host, float.NegativeInfinity);
        host[9] = 1;
        Tensor fine = Input(host, (1, vocabulary), DType.F32, out _);
        Tensor losses = Output(1);
        CrossEntropy.Run(fine, Input([9], 1), losses, null, 1);
        Assert.That(losses.ToArray()[0], Is.Zero);
        host[at] = float.NaN;
        CrossEntropy.Run(Input(host, (1, vocabulary), DType.F32, out _), Input([9], 1), losses, null, 1);
        Assert.That(losses.ToArray()[0], Is.NaN);
    }

    [Test]
    public void EmptyWork() => CrossEntropy.Run(Output((0, 5)), Output(0, DType.I32), Output(0), null, 1);

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor logits = Output((2, 5));
        Tensor targets = Output(2, DType.I32);
        Tensor losses = Output(2);
        Assert.That(
            () => CrossEntropy.Run(Output((2, 5), DType.BF16), targets, losses, null, 1),
            Throws.ArgumentException.With.Message.Contains("logits is BF16, expected F32")
        );
        Assert.That(
            () => CrossEntropy.Run(logits, Output(2), losses, null, 1),
            Throws.ArgumentException.With.Message.Contains("targets is F32, expected I32")
        );
        Assert.That(
            () => CrossEntropy.Run(logits, targets, Output(3), null, 1),
            Throws.ArgumentException.With.Message.Contains("losses is [3], expected [2]")
        );
        Assert.That(
            () => CrossEntropy.Run(logits, targets, losses, Output((5, 2)), 1),
            Throws.ArgumentException.With.Message.Contains("dLogits is [5, 2], expected [2, 5]")
        );
    }
}
