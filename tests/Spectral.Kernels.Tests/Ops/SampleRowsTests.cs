using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests.Ops;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class SampleRowsTests(DeviceKind kind) : DeviceTest(kind)
{
    [TestCase(1, 1)]
    [TestCase(7, 3)]
    [TestCase(300, 299)]
    [TestCase(1000, 10)]
    [TestCase(3, 5)]
    public void EachIsFromItsStratum(int rows, int count)
    {
        using StepState state = new(Device);
        state.SeedDropout(7);
        int[] drawn = Draw(state, 1, rows, count);
        for (int k = 0; k < count; k++)
        {
            (int first, int last) = ((int)((double)k * rows / count), (int)Math.Ceiling((k + 1.0) * rows / count) - 1);
            Assert.That(drawn[k], Is.InRange(first, last), $"{k} of {count} from {rows}");
        }
    }

    [Test]
    public void AllRowsAreDrawnOnceEach()
    {
        using StepState state = new(Device);
        Assert.That(Draw(state, 3, 600, 600), Is.EqualTo(Enumerable.Range(0, 600)));
    }

    [Test]
    public void ADrawFollowsFromSeedMicroBatchAndStream()
    {
        using StepState state = new(Device);
        state.SeedDropout(7, 4);
        int[] drawn = Draw(state, 1, 4000, 100);
        Assert.That(Draw(state, 1, 4000, 100), Is.EqualTo(drawn));
        Assert.That(Draw(state, 2, 4000, 100), Is.Not.EqualTo(drawn));
        state.NextBatch();
        Assert.That(Draw(state, 1, 4000, 100), Is.Not.EqualTo(drawn));
        state.SeedDropout(7, 4);
        Assert.That(Draw(state, 1, 4000, 100), Is.EqualTo(drawn));
        state.SeedDropout(8, 4);
        Assert.That(Draw(state, 1, 4000, 100), Is.Not.EqualTo(drawn));
    }

    /// <summary>Over 4,000 micro-batches, each of 7 rows is drawn 3/7 of the time; five deviations are 0.04.</summary>
    [Test]
    public void EveryRowIsDrawnEquallyOften()
    {
        using StepState state = new(Device);
        state.SeedDropout(1);
        int[] counts = new int[7];
        for (int batch = 0; batch < 4000; batch++)
        {
            foreach (int row in Draw(state, 1, 7, 3))
                counts[row]++;
            state.NextBatch();
        }

        Assert.That(counts.Select(count => count / 4000.0), Is.All.EqualTo(3.0 / 7).Within(0.04));
    }

    [Test]
    public void WhatDoesNotFitIsNamed()
    {
        using StepState state = new(Device);
        Assert.That(
            () => SampleRows.Draw(state, 1, 0, Output(2, DType.I32)),
            Throws.ArgumentException.With.Message.Contains("rows is 0, expected 1 or more")
        );
        Assert.That(() => SampleRows.Draw(state, 1, 4, Output(2)), Throws.ArgumentException);
        SampleRows.Draw(state, 1, 4, Output(0, DType.I32));
    }

    private int[] Draw(StepState state, uint stream, int rows, int count)
    {
        Tensor index = Output(count, DType.I32);
        SampleRows.Draw(state, stream, rows, index);
        return index.ToInt32Array();
    }
}
