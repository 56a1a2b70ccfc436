using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class RandomSearchTests(DeviceKind kind) : DeviceTest(kind)
{
    private const ulong Key = 0x123456789abcdef0;

    [Test]
    public void MovesAlongNormalNumbers([ValueSource(nameof(Sizes))] int count, [Values] bool aligned)
    {
        using StepState state = StateAfter(updates: 6);
        Tensor whole = Input(count + 1, DType.F32, out double[] values);
        Tensor moved = Output(count + 1);
        int from = aligned ? 0 : 1;
        using (Tensor x = whole.Rows(from, count))
        using (Tensor y = moved.Rows(from, count))
        {
            RandomSearch.Perturb(x, -0.25f, member: 3, parameter: 2, state, y);
            double[] expected =
            [
                .. Enumerable.Range(0, count).Select(i => values[from + i] - 0.25 * Normal(6, 3, 2, i)),
            ];
            double[] magnitude = [.. Enumerable.Range(0, count).Select(i => Math.Abs(values[from + i]) + 2)];
            Verify(y, expected, magnitude);
        }
    }

    [Test]
    public void TheSlopeIsThatOfTheTwoLosses()
    {
        using StepState state = StateAfter(updates: 0, lossScale: 0.125f);
        Tensor losses = Input([3, 5, 1.5f, 2, 4, 1], (2, 3), DType.F32, out _);
        Tensor weights = Output(1);
        RandomSearch.TwoPointWeight(losses, 0.01f, state, weights);
        Verify(weights, [-(9.5 - 7) * 0.125 / (2 * 0.01)]);
    }

    [Test]
    public void RewardsAreStandardised()
    {
        using StepState state = StateAfter(updates: 0);
        double[] sums = [3, 7, 4, 6];
        Tensor losses = Input([1, 2, 3, 4, 2, 2, 5, 1], (4, 2), DType.F32, out _);
        Tensor weights = Output(4);
        RandomSearch.PopulationWeights(losses, 0.5f, state, weights);
        double deviation = Math.Sqrt(sums.Average(sum => (sum - 5) * (sum - 5)));
        Verify(weights, [.. sums.Select(sum => (5 - sum) / deviation / (4 * 0.5))]);
    }

    [Test]
    public void EqualLossesGiveNoDirection()
    {
        using StepState state = StateAfter(updates: 0);
        Tensor weights = Output(3);
        RandomSearch.PopulationWeights(Input([2, 2, 2], (3, 1), DType.F32, out _), 0.5f, state, weights);
        Assert.That(weights.ToArray(), Is.All.Zero);
    }

    /// <summary>The directions of a step are those that the masters were moved along before it was counted.</summary>
    [Test]
    public void StepsAlongTheSameNumbers([ValueSource(nameof(Sizes))] int count, [Values(1f, 2.5f)] float rate)
    {
        using StepState state = StateAfter(updates: 6);
        state.Configure(new AdamWSettings(0.5, WeightDecay: 0.1));
        state.Advance(null);
        Tensor parameter = Input(count, DType.F32, out double[] p);
        Tensor weights = Input([0.3f, -0.2f], 2, DType.F32, out double[] w);
        RandomSearch.Step(parameter, weights, index: 2, state, rate);
        double[] expected =
        [
            .. p.Select(
                (value, i) =>
                    value * (1 - rate * 0.5 * 0.1)
                    + rate * 0.5 * (w[0] * Normal(6, 0, 2, i) + w[1] * Normal(6, 1, 2, i))
            ),
        ];
        Verify(parameter, expected, [.. p.Select(value => Math.Abs(value) + 4)]);
    }

    [Test]
    public void ASkippedStepChangesNothing()
    {
        using StepState state = StateAfter(updates: 0);
        state.Configure(new AdamWSettings(0.1));
        state.Advance(null, Input([float.NaN], 1, DType.F32, out _));
        Tensor parameter = Input(9, DType.F32, out double[] p);
        RandomSearch.Step(parameter, Input(2, DType.F32, out _), 0, state);
        Verify(parameter, p);
    }

    [Test]
    public void EmptyWork()
    {
        using StepState state = StateAfter(updates: 0);
        Tensor none = Output(0);
        RandomSearch.Perturb(none, 1, 0, 0, state, none);
        RandomSearch.Step(none, Output(1), 0, state);
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = StateAfter(updates: 0);
        Assert.That(
            () => RandomSearch.Perturb(Output(4), 1, 0, 0, state, Output(5)),
            Throws.ArgumentException.With.Message.Contains("y is [5], expected [4]")
        );
        Assert.That(
            () => RandomSearch.TwoPointWeight(Output((3, 1)), 1, state, Output(1)),
            Throws.ArgumentException.With.Message.Contains("losses is [3, 1], expected [2, ")
        );
        Assert.That(
            () => RandomSearch.PopulationWeights(Output((3, 1)), 0, state, Output(3)),
            Throws.ArgumentException.With.Message.Contains("size is 0, expected a finite number above 0")
        );
    }

    private StepState StateAfter(long updates, float lossScale = 1)
    {
        StepState state = new(Device);
        state.SeedDropout(Key);
        state.SetSteps(updates);
        state.Configure(new AdamWSettings(0.1), lossScale);
        return state;
    }

    /// <summary>By Box-Muller from words of the generator.</summary>
    private static double Normal(uint step, uint member, uint tensor, int i)
    {
        uint[] words = PhiloxTests.Words(Key, (ulong)member << 32 | step, (ulong)tensor << 32 | (uint)i / 4);
        (uint radiusBits, uint angleBits) = i % 4 < 2 ? (words[0], words[1]) : (words[2], words[3]);
        double radius = Math.Sqrt(-2 * Math.Log((radiusBits + 0.5) / 4294967296.0));
        double angle = 2 * Math.PI * (angleBits / 4294967296.0);
        return radius * (i % 2 == 0 ? Math.Cos(angle) : Math.Sin(angle));
    }
}
