using System.Text;
using Spectral.Training.Logs;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Logs;

/// <summary>Decodes event files by arithmetic of the tests' own.</summary>
public sealed class TensorBoardLogTests : FolderTest
{
    private string Folder => folder.File("tensorboard");

    /// <summary>
    /// The CRC-32C of nine digits (the check value of the Rocksoft catalogue) and of RFC 3720, appendix B.4; the bytes
    /// of its examples as numbers of 32 bits, least first.
    /// </summary>
    [Test]
    public void ChecksumsAreThoseOfPublishedVectors()
    {
        (byte[] Bytes, uint Crc)[] vectors =
        [
            ("123456789"u8.ToArray(), 0xe3069283),
            (new byte[32], 0x8a9136aa),
            ([.. Enumerable.Repeat((byte)0xff, 32)], 0x62a8ab43),
            ([.. Enumerable.Range(0, 32).Select(i => (byte)i)], 0x46dd794e),
            ([.. Enumerable.Range(0, 32).Select(i => (byte)(31 - i))], 0x113fdb5c),
        ];
        foreach ((byte[] bytes, uint crc) in vectors)
        {
            Assert.That(EventFileReader.Crc(bytes), Is.EqualTo(crc), "the tests' own");
            Assert.That(RecordFile.Masked(bytes), Is.EqualTo(unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8u)));
        }
    }

    [Test]
    public void EveryFigureIsAnEvent()
    {
        double before = Seconds();
        using (TensorBoardLog log = new(Folder))
        {
            log.OnEvaluation(0, new EvaluationResult(3.5, 10, 0.25, 4));
            log.OnStep(new StepReport(1, 2.5, 1e-3, 0.75, 100, 1234.5));
            log.OnStep(new StepReport(2, double.NaN, 5e-4, double.PositiveInfinity, 100, 1200, Skipped: true));
            log.OnStep(new StepReport(1 << 20, 1.25, 0, 0.5, 100, 1200));
            log.OnEvaluation(1 << 20, new EvaluationResult(1.5, 10, null, 4));
            log.OnEvaluation(1 << 20, new EvaluationResult(1.5, 10, null, 4) { PairScores = new(0.5, -0.25, 1) });
        }

        double after = Seconds();
        List<EventFileReader.Event> events = EventFileReader.Read(Directory.GetFiles(Folder).Single());
        Assert.That(Directory.GetFiles(Folder).Single(), Does.Contain("tfevents"));
        Assert.That(events.Select(made => made.Time), Is.All.InRange(before, after));
        Assert.That(events[0].Version, Is.EqualTo("brain.Event:2"));
        Assert.That(events.Skip(1).Select(made => made.Version), Is.All.Null);
        Assert.That(events.Select(made => made.Session), Is.All.Null);
        Assert.That(
            events.Skip(1).Select(Text),
            Is.EqualTo(
                new[]
                {
                    "0: eval/exact_match 0.25, eval/loss 3.5",
                    "1: train/gradient_norm 0.75, train/learning_rate 0.001, train/loss 2.5, train/tokens_per_second "
                        + "1234.5",
                    "2: train/learning_rate 0.0005, train/tokens_per_second 1200",
                    "1048576: train/gradient_norm 0.5, train/learning_rate 0, train/loss 1.25, "
                        + "train/tokens_per_second 1200",
                    "1048576: eval/loss 1.5",
                    "1048576: eval/chosen_reward 0.5, eval/loss 1.5, eval/rejected_reward -0.25, "
                        + "eval/reward_accuracy 1",
                }
            )
        );
    }

    [Test]
    public void AResumedRunStartsASessionAtItsFirstStep()
    {
        using (TensorBoardLog log = new(Folder))
            log.OnStep(new StepReport(1, 1, 1, 1, 1, 1));
        using (TensorBoardLog log = new(Folder, after: 6))
            log.OnStep(new StepReport(7, 1, 1, 1, 1, 1));
        string[] files = [.. Directory.GetFiles(Folder).Order(StringComparer.Ordinal)];
        Assert.That(files, Has.Length.EqualTo(2), "the first run's file stays");
        List<EventFileReader.Event> events = EventFileReader.Read(files[1]);
        Assert.That(events.Select(made => made.Step), Is.EqualTo(new[] { 0, 7, 7 }));
        Assert.That(events[1].Session, Is.EqualTo(1), "START");
        Assert.That(events[2].Values, Is.Not.Empty);
    }

    private static double Seconds() => (DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds;

    private static string Text(EventFileReader.Event made)
    {
        var text = new StringBuilder($"{made.Step}: ");
        return text.AppendJoin(
                ", ",
                made.Values.OrderBy(value => value.Key, StringComparer.Ordinal)
                    .Select(value => FormattableString.Invariant($"{value.Key} {value.Value}"))
            )
            .ToString();
    }
}
