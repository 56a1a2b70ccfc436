using Spectral.Cli.Continual;

namespace Spectral.Cli.Tests.Continual;

/// <summary>Tests what is computed from the table task × after-task.</summary>
public sealed class ContinualMeasuresTests
{
    [Test]
    public void TheFirstTaskHasAnAverageOnly() =>
        Assert.That(
            ContinualMeasures.Of([
                [0.75, 0.5],
            ]),
            Is.EqualTo(new ContinualMeasures(0.75, null, null)),
            "the second task is not trained yet"
        );

    /// <summary>
    /// By hand: backward transfer ((0.5 − 1) + (0.125 − 0.75)) / 2, and forgetting ((1 − 0.5) + (0.875 − 0.125)) / 2,
    /// where task 2 was best after task 1, before it was trained itself.
    /// </summary>
    [Test]
    public void TransferIsFromWhenATaskWasTrainedAndForgettingFromItsBest()
    {
        var measures = ContinualMeasures.Of([
            [1, 0.875, 0],
            [0.75, 0.75, 0.25],
            [0.5, 0.125, 1],
        ]);
        Assert.That(measures.Average, Is.EqualTo((0.5 + 0.125 + 1) / 3).Within(1e-15));
        Assert.That(measures.BackwardTransfer, Is.EqualTo(-0.5625).Within(1e-15));
        Assert.That(measures.Forgetting, Is.EqualTo(0.625).Within(1e-15));
    }

    /// <summary>A task that a later one improves has forgotten less than nothing.</summary>
    [Test]
    public void GainsOfEarlierTasksHaveTheOppositeSign()
    {
        var measures = ContinualMeasures.Of([
            [0.25, 0],
            [0.5, 1],
        ]);
        Assert.That((measures.BackwardTransfer, measures.Forgetting), Is.EqualTo((0.25, -0.25)));
    }
}
