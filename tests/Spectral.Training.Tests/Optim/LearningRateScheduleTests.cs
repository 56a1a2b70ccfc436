using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training.Tests.Optim;

public sealed class LearningRateScheduleTests
{
    [Test]
    public void WarmsUpThenFollowsItsShape()
    {
        Assert.Multiple(() =>
        {
            Assert.That(Rates(ScheduleKind.Constant, 4, 2), Is.EqualTo(new[] { 0.5, 1, 1, 1 }));
            Assert.That(
                Rates(ScheduleKind.Linear, 6, 2),
                Is.EqualTo(new[] { 0.5, 1, 1, 0.75, 0.5, 0.25 }).Within(1e-12)
            );
            Assert.That(Rates(ScheduleKind.Linear, 4, 0), Is.EqualTo(new[] { 1, 0.75, 0.5, 0.25 }).Within(1e-12));
            Assert.That(
                Rates(ScheduleKind.Cosine, 4, 0),
                Is.EqualTo(new[] { 1, (1 + Math.Sqrt(0.5)) / 2, 0.5, (1 - Math.Sqrt(0.5)) / 2 }).Within(1e-12)
            );
            Assert.That(Rates(ScheduleKind.Cosine, 3, 3), Is.EqualTo(new[] { 1 / 3.0, 2 / 3.0, 1 }).Within(1e-12));
        });
    }

    [Test]
    public void WarmUpLongerThanTheRunNeverReachesTheBaseRate() =>
        Assert.That(Rates(ScheduleKind.Cosine, 2, 10), Is.EqualTo(new[] { 0.1, 0.2 }).Within(1e-12));

    // As transformers' Trainer counts: ceil of batches by accumulation, per epoch.
    [Test]
    public void EveryEpochIsRoundedUpToSteps()
    {
        TrainerOptions options = new()
        {
            Epochs = 3,
            Batch = 8,
            Accumulate = 2,
        };
        Assert.Multiple(() =>
        {
            Assert.That(options.StepsFor(16), Is.EqualTo(3));
            Assert.That(options.StepsFor(17), Is.EqualTo(6));
            Assert.That(options.StepsFor(1), Is.EqualTo(3));
            Assert.That((options with { Epochs = 0.5 }).StepsFor(33), Is.EqualTo(2));
            Assert.That((options with { DropLast = true }).StepsFor(47), Is.EqualTo(6));
            Assert.That((options with { Steps = 5 }).StepsFor(17), Is.EqualTo(5));
            Assert.That((options with { Epochs = int.MaxValue }).StepsFor(17), Is.EqualTo(int.MaxValue));
            Assert.That((options with { Batch = 65536, Accumulate = 65536 }).StepsFor(17), Is.EqualTo(3));
        });
    }

    [TestCase(6, true)]
    [TestCase(7, false)]
    public void WarmUpMayTakeTheWholeRunButNoMore(int warmup, bool fits)
    {
        TrainerOptions options = new()
        {
            Epochs = 2,
            Batch = 2,
            Warmup = warmup,
        };
        Assert.That(
            () => options.StepsFor(5),
            fits
                ? Is.EqualTo(6)
                : Throws.TypeOf<InputException>().With.Message.Contains("--warmup 7").And.Message.Contains("6 steps")
        );
    }

    private static double[] Rates(ScheduleKind kind, int steps, int warmup)
    {
        LearningRateSchedule schedule = new(kind, 1, steps, warmup);
        return [.. Enumerable.Range(1, steps).Select(schedule.At)];
    }
}
