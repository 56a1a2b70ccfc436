using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ExpertRouterTests(DeviceKind kind) : DeviceTest(kind)
{
    private static readonly (int Tokens, int Experts, int K)[] Cases =
    [
        (1, 1, 1),
        (7, 5, 2),
        (33, 8, 2),
        (9, 33, 33),
        (3, 128, 8),
        (127, 40, 1),
    ];

    [Test]
    public void ChoosesAndDifferentiates(
        [ValueSource(nameof(Cases))] (int Tokens, int Experts, int K) size,
        [ValueSource(nameof(FloatTypes))] DType type,
        [Values] bool normalised,
        [Values] bool sloped
    )
    {
        (int tokens, int experts, int k) = size;
        Tensor logits = Distinct(tokens, experts, type, out double[] z);
        Tensor dWeight = Input((tokens, k), DType.F32, out double[] upstream);
        Tensor slope = Input(experts, DType.F32, out double[] slopes);
        Tensor mask = Input(
            [.. Enumerable.Range(0, tokens).Select(n => n % 3 == 1 ? 0f : 1)],
            tokens,
            DType.F32,
            out double[] factors
        );
        Tensor probabilities = Output((tokens, experts));
        Tensor index = Output((tokens, k), DType.I32);
        Tensor weight = Output((tokens, k));
        Tensor dLogits = Output((tokens, experts), type);
        double[] softmax = new double[tokens * experts];
        int[] chosen = new int[tokens * k];
        double[] weights = new double[tokens * k];
        double[] expected = new double[tokens * experts];
        double[] magnitude = new double[tokens * experts];
        for (int n = 0; n < tokens; n++)
        {
            double[] p = [.. z.Skip(n * experts).Take(experts).Select(value => Math.Exp(value))];
            double total = p.Sum();
            p = Array.ConvertAll(p, value => value / total);
            int[] order = [.. Enumerable.Range(0, experts).OrderByDescending(j => p[j]).Take(k)];
            double sum = normalised ? order.Sum(j => p[j]) : 1;
            double[] dp = Array.ConvertAll(slopes, value => sloped ? factors[n] * value : 0);
            double[] terms = Array.ConvertAll(dp, Math.Abs);
            for (int t = 0; t < k; t++)
            {
                (chosen[n * k + t], weights[n * k + t]) = (order[t], p[order[t]] / sum);
                // w_t = p_t / S, or p_t: the derivative by every chosen probability.
                for (int s = 0; s < k; s++)
                {
                    double own = s == t ? 1 / sum : 0;
                    double slopeOfSum = normalised ? p[order[t]] / (sum * sum) : 0;
                    dp[order[s]] += upstream[n * k + t] * (own - slopeOfSum);
                    terms[order[s]] += Math.Abs(upstream[n * k + t]) * (own + slopeOfSum);
                }
            }
            for (int j = 0; j < experts; j++)
            {
                softmax[n * experts + j] = p[j];
                for (int i = 0; i < experts; i++)
                {
                    double jacobian = p[i] * ((i == j ? 1 : 0) - p[j]);
                    expected[n * experts + j] += dp[i] * jacobian;
                    magnitude[n * experts + j] += terms[i] * p[i] * ((i == j ? 1 : 0) + p[j]);
                }
            }
        }

        ExpertRouter.Forward(logits, normalised, probabilities, index, weight);
        ExpertRouter.Backward(
            probabilities,
            index,
            weight,
            normalised,
            dWeight,
            sloped ? slope : null,
            sloped ? mask : null,
            dLogits
        );

        Assert.That(index.ToInt32Array(), Is.EqualTo(chosen));
        // the difference of logits is rounded before exp, worth up to |z| ulp
        Verify(probabilities, softmax, reductionLength: experts + 4);
        Verify(weight, weights, reductionLength: experts + 4);
        Verify(dLogits, expected, magnitude, experts + k + 4);
    }

    [Test]
    public void NoGradientOfTheWeightsIsZero()
    {
        Tensor logits = Distinct(5, 7, DType.F32, out _);
        (Tensor probabilities, Tensor index, Tensor weight) = (
            Output((5, 7)),
            Output((5, 2), DType.I32),
            Output((5, 2))
        );
        Tensor none = Output((5, 7));
        Tensor zero = Output((5, 7));
        Tensor slope = Input(7, DType.F32, out _);
        ExpertRouter.Forward(logits, true, probabilities, index, weight);
        ExpertRouter.Backward(probabilities, index, weight, true, null, slope, null, none);
        ExpertRouter.Backward(
            probabilities,
            index,
            weight,
            true,
            Input(new float[10], (5, 2), DType.F32, out _),
            slope,
            null,
            zero
        );
        Assert.That(none.ToArray(), Is.EqualTo(zero.ToArray()));
    }

    [Test]
    public void TheFirstOfEqualLogitsIsTaken()
    {
        const float Nothing = float.NegativeInfinity;
        Tensor logits = Input([1, 3, 3, 3, Nothing, Nothing, 2, Nothing], (2, 4), DType.F32, out _);
        (Tensor probabilities, Tensor index, Tensor weight) = (
            Output((2, 4)),
            Output((2, 2), DType.I32),
            Output((2, 2))
        );
        ExpertRouter.Forward(logits, true, probabilities, index, weight);
        Assert.That(index.ToInt32Array(), Is.EqualTo(new[] { 1, 2, 2, 0 }));
        Assert.That(weight.ToArray(), Is.EqualTo(new[] { 0.5f, 0.5f, 1, 0 }));
    }

    [Test]
    public void NaNShowsInItsRowAlone()
    {
        const float Infinity = float.PositiveInfinity;
        Tensor logits = Input(
            [
                float.NaN,
                float.NaN,
                float.NaN,
                3,
                float.NaN,
                1,
                Infinity,
                2,
                3,
                -Infinity,
                -Infinity,
                -Infinity,
                1,
                2,
                3,
            ],
            (5, 3),
            DType.F32,
            out _
        );
        (Tensor probabilities, Tensor index, Tensor weight) = (
            Output((5, 3)),
            Output((5, 2), DType.I32),
            Output((5, 2))
        );
        ExpertRouter.Forward(logits, true, probabilities, index, weight);
        Assert.That(index.ToInt32Array(), Is.All.InRange(0, 2));
        Assert.That(weight.ToArray()[..8], Is.All.NaN);
        Assert.That(weight.ToArray()[8..], Is.All.Not.NaN);
        Assert.That(probabilities.ToArray()[3], Is.NaN);
    }

    [Test]
    public void NothingToDo()
    {
        Tensor index = Input([], (0, 2));
        Tensor none = Output((0, 3));
        ExpertRouter.Forward(none, true, Output((0, 3)), index, Output((0, 2)));
        ExpertRouter.Backward(none, index, Output((0, 2)), true, Output((0, 2)), null, null, Output((0, 3)));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        Tensor logits = Output((2, 3));
        Tensor index = Output((2, 2), DType.I32);
        Tensor weight = Output((2, 2));
        Assert.That(
            () => ExpertRouter.Forward(logits, true, Output((2, 3)), Output((2, 4), DType.I32), Output((2, 4))),
            Throws.ArgumentException.With.Message.Contains("4 of 3 experts are to be chosen, expected 1 to 3")
        );
        Assert.That(
            () => ExpertRouter.Forward(logits, true, Output((2, 4)), index, weight),
            Throws.ArgumentException.With.Message.Contains("probabilities is [2, 4], expected [2, 3]")
        );
        Assert.That(
            () => ExpertRouter.Forward(logits, true, Output((2, 3)), index, Output((2, 2), DType.BF16)),
            Throws.ArgumentException.With.Message.Contains("weight is BF16, expected F32")
        );
        Assert.That(
            () => ExpertRouter.Backward(Output((2, 3)), index, weight, true, null, Output(2), null, Output((2, 3))),
            Throws.ArgumentException.With.Message.Contains("slope is [2], expected [3]")
        );
        Assert.That(
            () => ExpertRouter.Backward(Output((2, 3)), index, weight, true, null, null, Output(3), Output((2, 3))),
            Throws.ArgumentException.With.Message.Contains("mask is [3], expected [2]")
        );
    }

    /// <summary>Logits of which no two of a token are equal, also in BF16.</summary>
    private Tensor Distinct(int tokens, int experts, DType type, out double[] values)
    {
        float[] logits = new float[tokens * experts];
        for (int n = 0; n < tokens; n++)
        {
            int[] order = [.. Enumerable.Range(0, experts).OrderBy(_ => Rng.Next())];
            for (int j = 0; j < experts; j++)
                logits[n * experts + j] = (order[j] - experts / 2) / 16f;
        }
        return Input(logits, (tokens, experts), type, out values);
    }
}
