using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class TopKMixtureTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (int Pieces, int N, int Length, int K)[] Cases =
    [
        (1, 1, 1, 1),
        (7, 5, 3, 2),
        (33, 256, 127, 2),
        (9, 33, 64, 8),
        (3, 8, 1000, 8),
        (127, 40, 7, 1),
    ];

    [Test]
    public void ChoosesAndMixes([ValueSource(nameof(Cases))] (int Pieces, int N, int Length, int K) size)
    {
        (int pieces, int n, int length, int k) = size;
        Tensor logits = Input((pieces, n), DType.F32, out double[] z);
        Tensor bank = Input((n, length), DType.F32, out double[] vectors);
        Tensor dy = Input((pieces, length), DType.F32, out double[] gradient);
        Tensor index = Input(Enumerable.Repeat(-1, pieces * k).ToArray(), (pieces, k));
        Tensor weight = Output((pieces, k));
        Tensor y = Output((pieces, length));
        Tensor dLogits = Output((pieces, n));
        Tensor moreLogits = Input((pieces, n), DType.F32, out double[] logitsBefore);
        Tensor dBank = Output((n, length));
        Tensor moreBank = Input((n, length), DType.F32, out double[] bankBefore);
        int[] chosen = new int[pieces * k];
        double[] weights = new double[pieces * k];
        double[] mixed = new double[pieces * length];
        double[] mixedTerms = new double[pieces * length];
        double[] toLogits = new double[pieces * n];
        double[] logitsTerms = new double[pieces * n];
        double[] toBank = new double[n * length];
        double[] bankTerms = new double[n * length];
        for (int p = 0; p < pieces; p++)
        {
            int[] order = Enumerable.Range(0, n).OrderByDescending(j => z[p * n + j]).Take(k).ToArray();
            double[] e = Array.ConvertAll(order, j => Math.Exp(z[p * n + j]));
            double[] q = new double[k];
            for (int t = 0; t < k; t++)
            {
                (int j, double w) = (order[t], e[t] / e.Sum());
                (chosen[p * k + t], weights[p * k + t]) = (j, w);
                for (int c = 0; c < length; c++)
                {
                    double vector = vectors[j * length + c];
                    double upstream = gradient[p * length + c];
                    mixed[p * length + c] += w * vector;
                    mixedTerms[p * length + c] += Math.Abs(w * vector);
                    toBank[j * length + c] += w * upstream;
                    bankTerms[j * length + c] += Math.Abs(w * upstream);
                    q[t] += vector * upstream;
                }
            }
            double mean = q.Select((value, t) => value * weights[p * k + t]).Sum();
            double size2 = q.Select((value, t) => Math.Abs(value) * weights[p * k + t]).Sum();
            for (int t = 0; t < k; t++)
            {
                toLogits[p * n + order[t]] = weights[p * k + t] * (q[t] - mean);
                logitsTerms[p * n + order[t]] = weights[p * k + t] * (Math.Abs(q[t]) + size2);
            }
        }

        TopKMixture.Select(logits, index, weight);
        TopKMixture.Forward(bank, index, weight, y);
        TopKMixture.BackwardLogits(bank, index, weight, dy, dLogits);
        TopKMixture.BackwardLogits(bank, index, weight, dy, moreLogits, accumulate: true);
        TopKMixture.BackwardBank(index, weight, dy, dBank);
        TopKMixture.BackwardBank(index, weight, dy, moreBank, accumulate: true);

        Assert.That(index.ToInt32Array(), Is.EqualTo(chosen));
        // the difference of logits is rounded before exp, worth up to |z| ulp
        Verify(weight, weights, reductionLength: k + 4);
        Verify(y, mixed, mixedTerms, k + 4);
        Verify(dLogits, toLogits, logitsTerms, k + 4);
        Verify(
            moreLogits,
            toLogits.Zip(logitsBefore, (a, b) => a + b).ToArray(),
            logitsTerms.Zip(logitsBefore, (a, b) => a + Math.Abs(b)).ToArray(),
            k + 4
        );
        Verify(dBank, toBank, bankTerms, pieces + 4);
        Verify(
            moreBank,
            toBank.Zip(bankBefore, (a, b) => a + b).ToArray(),
            bankTerms.Zip(bankBefore, (a, b) => a + Math.Abs(b)).ToArray(),
            pieces + 4
        );
    }

    [Test]
    public void TheFirstOfEqualLogitsIsTaken()
    {
        Tensor logits = Input(
            [1, 3, 3, 3, float.NegativeInfinity, float.NegativeInfinity, 2, float.NegativeInfinity],
            (2, 4),
            DType.F32,
            out _
        );
        Tensor index = Input(new int[4], (2, 2));
        Tensor weight = Output((2, 2));
        TopKMixture.Select(logits, index, weight);
        Assert.That(index.ToInt32Array(), Is.EqualTo(new[] { 1, 2, 2, 0 }));
        Assert.That(weight.ToArray(), Is.EqualTo(new[] { 0.5f, 0.5f, 1, 0 }));
    }

    [Test]
    public void NaNShowsInItsRowAlone()
    {
        Tensor logits = Input([float.NaN, float.NaN, float.NaN, 3, float.NaN, 1, 1, 2, 3], (3, 3), DType.F32, out _);
        Tensor index = Input(new int[6], (3, 2));
        Tensor weight = Output((3, 2));
        TopKMixture.Select(logits, index, weight);
        Assert.That(index.ToInt32Array(), Is.All.InRange(0, 2));
        Assert.That(weight.ToArray()[..4], Is.All.NaN);
        Assert.That(weight.ToArray()[4..], Is.All.Not.NaN);
    }

    [Test]
    public void NothingToDo()
    {
        Tensor bank = Output((3, 4));
        Tensor index = Input([], (0, 2));
        Tensor weight = Output((0, 2));
        Tensor rows = Output((0, 4));
        Tensor dBank = Output((3, 4));
        TopKMixture.Select(Output((0, 3)), index, weight);
        TopKMixture.Forward(bank, index, weight, rows);
        TopKMixture.BackwardLogits(bank, index, weight, rows, Output((0, 3)));
        TopKMixture.BackwardBank(index, weight, rows, dBank);
        Assert.That(dBank.ToArray(), Is.All.Zero);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor logits = Output((2, 3));
        Tensor bank = Output((3, 4));
        Tensor index = Input(new int[4], (2, 2));
        Tensor weight = Output((2, 2));
        Tensor y = Output((2, 4));
        Assert.That(
            () => TopKMixture.Select(logits, Input(new int[8], (2, 4)), Output((2, 4))),
            Throws.ArgumentException.With.Message.Contains("4 of 3 vectors are to be chosen, expected 1 to 3")
        );
        Assert.That(
            () => TopKMixture.Select(Output((2, 20)), Input(new int[18], (2, 9)), Output((2, 9))),
            Throws.ArgumentException.With.Message.Contains("expected 1 to 8")
        );
        Assert.That(
            () => TopKMixture.Select(logits, weight, weight),
            Throws.ArgumentException.With.Message.Contains("index is F32, expected I32")
        );
        Assert.That(
            () => TopKMixture.Forward(bank, index, weight, Output((2, 5))),
            Throws.ArgumentException.With.Message.Contains("y is [2, 5], expected [any, 4]")
        );
        Assert.That(
            () => TopKMixture.BackwardLogits(bank, index, weight, y, Output((2, 4))),
            Throws.ArgumentException.With.Message.Contains("dLogits is [2, 4], expected [2, 3]")
        );
        Assert.That(
            () => TopKMixture.BackwardBank(index, Output((3, 2)), y, bank),
            Throws.ArgumentException.With.Message.Contains("weight is [3, 2], expected [2, 2]")
        );
    }
}
