using Spectral.Training.Data;
using Spectral.Training.IO;

namespace Spectral.Training.Tests.Data;

public sealed class BatchTests
{
    [Test]
    public void RowsArePaddedOnTheRightAndTargetsShifted()
    {
        var batch = Batch.Create(
            [new EncodedRecord([5, 6, 7, 8], 2, 2, false), new EncodedRecord([9, 3], 0, 1, false)],
            paddingToken: 1
        );

        Assert.That((batch.Rows, batch.Length, batch.LossTokens), Is.EqualTo((2, 4, 3)));
        Assert.That(batch.Tokens, Is.EqualTo(new[] { 5, 6, 7, 8, 9, 3, 1, 1 }));
        Assert.That(batch.Targets, Is.EqualTo(new[] { -1, 7, 8, -1, 3, -1, -1, -1 }));
    }

    [TestCase(9, false)]
    [TestCase(10, true)]
    public void IdsBeyondTheVocabularyAreRefused(int vocabulary, bool fits)
    {
        var batch = Batch.Create([new EncodedRecord([5, 9], 1, 1, false)]);
        Assert.That(
            () => batch.CheckIds(vocabulary),
            fits
                ? Throws.Nothing
                : Throws.TypeOf<InputException>().With.Message.Contains("id 9").And.Message.Contains("vocabulary of 9")
        );
    }

    // What torch.utils.data.DataLoader(range(n), batch_size, drop_last=…) hands out, epoch after epoch.
    [Test]
    public void EachEpochHasEveryRecordOnceAndEndsWithWhatIsLeft()
    {
        BatchSampler sampler = new(3, 2, seed: 0, shuffle: false);
        Assert.That(
            Enumerable.Range(0, 4).Select(_ => sampler.Next()),
            Is.EqualTo(new int[][] { [0, 1], [2], [0, 1], [2] })
        );
        Assert.That((sampler.Epoch, sampler.Position, sampler.BatchesPerEpoch), Is.EqualTo((2, 4, 2)));
        Assert.That(new BatchSampler(2, 5, 0, false).Next(), Is.EqualTo(new[] { 0, 1 }));
        BatchSampler dropping = new(5, 2, seed: 0, shuffle: false, dropLast: true);
        Assert.That(
            Enumerable.Range(0, 3).Select(_ => dropping.Next()),
            Is.EqualTo(new int[][] { [0, 1], [2, 3], [0, 1] })
        );
        Assert.That(
            () => new BatchSampler(4, 5, 0, false, dropLast: true),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("--drop-last")
                .And.Message.Contains("4 records")
                .And.Message.Contains("5")
        );
    }

    [Test]
    public void EveryEpochIsAnotherPermutation()
    {
        BatchSampler sampler = new(10, 4, seed: 3, shuffle: true);
        int[][] epochs =
        [
            .. Enumerable.Range(0, 4).Select(_ => Enumerable.Range(0, 3).SelectMany(_ => sampler.Next()).ToArray()),
        ];
        foreach (int[] epoch in epochs)
            Assert.That(epoch.Order(), Is.EqualTo(Enumerable.Range(0, 10)));
        Assert.That(epochs.Select(epoch => string.Join(',', epoch)).Distinct().Count(), Is.EqualTo(4));
        Assert.That(new BatchSampler(10, 10, seed: 4, shuffle: true).Next(), Is.Not.EqualTo(epochs[0]));
    }

    /// <summary>
    /// As transformers' sampler: groups of min(50, records / (4 · batch)) batches, at least one, longest first; the
    /// longest of all changes places with the first.
    /// </summary>
    [TestCase(3, 8)]
    [TestCase(7, 3)]
    [TestCase(40, 1)]
    public void GroupsAreSortedByLength(int batch, int batchesInAGroup)
    {
        int[] lengths = [.. Enumerable.Range(0, 100).Select(i => 1 + (i * 37 % 101))];
        BatchSampler plain = new(100, 100, seed: 3, shuffle: true);
        BatchSampler sampler = new(100, batch, seed: 3, shuffle: true, lengths: lengths);
        for (int epoch = 0; epoch < 3; epoch++)
        {
            int[] order = [.. Enumerable.Range(0, sampler.BatchesPerEpoch).SelectMany(_ => sampler.Next())];
            List<int> expected =
            [
                .. plain
                    .Next()
                    .Chunk(batchesInAGroup * batch)
                    .SelectMany(group => group.OrderByDescending(i => lengths[i])),
            ];
            int longest = expected.FindIndex(i => lengths[i] == lengths.Max());
            (expected[0], expected[longest]) = (expected[longest], expected[0]);
            Assert.That(order, Is.EqualTo(expected), $"epoch {epoch}");
        }
        BatchSampler resumed = new(100, batch, seed: 3, shuffle: true, lengths: lengths)
        {
            Position = sampler.Position,
        };
        Assert.That(resumed.Next(), Is.EqualTo(sampler.Next()));
    }

    [Test]
    public void AnyStepCanBeGoneTo()
    {
        BatchSampler all = new(7, 3, seed: 9, shuffle: true);
        for (int i = 0; i < 5; i++)
            all.Next();
        BatchSampler resumed = new(7, 3, seed: 9, shuffle: true) { Position = 5 };
        for (int i = 0; i < 5; i++)
            Assert.That(resumed.Next(), Is.EqualTo(all.Next()));
    }

    // Worked out with Python integers from the description in the sampler's remarks.
    [TestCase(0UL, 0L, new[] { 7, 1, 0, 6, 3, 2, 4, 5 })]
    [TestCase(42UL, 3L, new[] { 7, 5, 4, 2, 6, 0, 3, 1 })]
    public void TheShuffleIsTheDocumentedOne(ulong seed, long epoch, int[] expected) =>
        Assert.That(new BatchSampler(8, 8, seed, shuffle: true) { Position = epoch }.Next(), Is.EqualTo(expected));

    [Test]
    public void ShufflesAreEven()
    {
        int[,] counts = new int[4, 4];
        BatchSampler sampler = new(4, 4, seed: 1, shuffle: true);
        for (int epoch = 0; epoch < 4000; epoch++)
        {
            int[] order = sampler.Next();
            for (int place = 0; place < 4; place++)
                counts[place, order[place]]++;
        }
        // 1000 expected in each cell, standard deviation 27.
        foreach (int count in counts)
            Assert.That(count, Is.InRange(860, 1140));
    }
}
