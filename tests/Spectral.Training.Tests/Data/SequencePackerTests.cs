using Spectral.Training.Data;

namespace Spectral.Training.Tests.Data;

public sealed class SequencePackerTests
{
    [TestCase(0UL)]
    [TestCase(7UL)]
    [TestCase(null)]
    public void EachRecordIsInOneSequenceThatHoldsIt(ulong? seed)
    {
        Random random = new(3);
        EncodedRecord[] records = [.. Enumerable.Range(0, 20_000).Select(_ => Record(random.Next(2, 101)))];
        int[][] sequences = SequencePacker.Pack(records, 128, seed);
        Assert.Multiple(() =>
        {
            Assert.That(sequences.SelectMany(row => row).Order(), Is.EqualTo(Enumerable.Range(0, records.Length)));
            Assert.That(sequences.Select(row => row.Sum(i => records[i].Tokens.Length)), Is.All.InRange(2, 128));
            Assert.That(SequencePacker.Pack(records, 128, seed), Is.EqualTo(sequences), "the same again");
            // Lengths are spread evenly, so that few sequences stay open; in file order about every fifth place is
            // lost.
            double fill = records.Sum(record => record.Tokens.Length) / (128.0 * sequences.Length);
            Assert.That(fill, Is.GreaterThan(seed is null ? 0.7 : 0.99));
        });
    }

    [Test]
    public void TheLongestComeFirstIntoTheFullestWithRoom()
    {
        // 9 | 7 + 3 | 6 + 4 | 2 + 2: 4 would fit beside 6 alone, 3 beside 7 best.
        int[] lengths = [2, 9, 4, 6, 3, 7, 2];
        int[][] sequences = SequencePacker.Pack([.. lengths.Select(Record)], 10, 1);
        Assert.That(
            sequences.Select(row => string.Join('+', row.Select(i => lengths[i]))),
            Is.EqualTo(new[] { "9", "7+3", "6+4", "2+2" })
        );
    }

    [Test]
    public void WithoutAShuffleRecordsStayInOrder() =>
        Assert.That(
            SequencePacker.Pack([.. new[] { 4, 6, 3, 8, 2 }.Select(Record)], 10, null),
            Is.EqualTo(new int[][] { [0, 1], [2], [3, 4] })
        );

    [Test]
    public void ARecordThatIsTooLongIsRefused() =>
        Assert.That(
            () => SequencePacker.Pack([Record(3), Record(11)], 10, 0),
            Throws.ArgumentException.With.Message.Contains("record 1 has 11 tokens, expected at most the 10")
        );

    [Test]
    public void NoRecordsAreNoSequences() => Assert.That(SequencePacker.Pack([], 10, 0), Is.Empty);

    [Test]
    public void APackedBatchSaysWhereRecordsAreAndPredictsNoFirstToken()
    {
        EncodedRecord[] first = [new([5, 6, 7], 1, 1, false), new([8, 9], 1, 1, false)];
        EncodedRecord[] second = [new([3, 4, 2, 1], 2, 2, false)];
        var batch = Batch.Pack([first, second], paddingToken: 99, length: 6);
        Assert.Multiple(() =>
        {
            Assert.That(batch.Tokens, Is.EqualTo(new[] { 5, 6, 7, 8, 9, 99, 3, 4, 2, 1, 99, 99 }));
            Assert.That(batch.Targets, Is.EqualTo(new[] { 6, 7, -1, 9, -1, -1, -1, 2, 1, -1, -1, -1 }));
            Assert.That(
                batch.Spans,
                Is.EqualTo(new[] { 0, 3, 0, 3, 0, 3, 3, 5, 3, 5, 5, 6, 0, 4, 0, 4, 0, 4, 0, 4, 4, 5, 5, 6 })
            );
            Assert.That((batch.TokenCount, batch.LossTokens, batch.LongestRecord), Is.EqualTo((9, 5, 4)));
            Assert.That(Batch.Create(first).Spans, Is.Null);
            Assert.That(() => Batch.Pack([first], length: 4), Throws.ArgumentException);
        });
    }

    private static EncodedRecord Record(int length) => new([.. Enumerable.Range(0, length)], 1, 1, false);
}
