using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

public sealed class PairTableTests
{
    [Test]
    public void FindsWhatADictionaryFinds()
    {
        Random random = new(3);
        PairTable table = new();
        Dictionary<(int Left, int Right), ulong> expected = [];
        for (int rank = 0; rank < 20_000; rank++)
        {
            // Few enough symbols that pairs come again: then the later merge holds.
            (int left, int right) = (random.Next(150), random.Next(150));
            ulong merge = PairTable.Merge(rank, random.Next(BpeModel.LargestId + 1));
            table.Set(left, right, merge);
            expected[(left, right)] = merge;
        }
        for (int left = 0; left < 160; left++)
        {
            for (int right = 0; right < 160; right++)
            {
                ulong merge = expected.GetValueOrDefault((left, right), PairTable.None);
                Assert.That(table.Find(left, right), Is.EqualTo(merge));
            }
        }
        Assert.That(table.Find(BpeModel.LargestId, BpeModel.LargestId), Is.EqualTo(PairTable.None));
    }

    [Test]
    public void AMergeKeepsItsRankAndItsId()
    {
        ulong merge = PairTable.Merge(int.MaxValue, BpeModel.LargestId);
        Assert.That((PairTable.Rank(merge), PairTable.Id(merge)), Is.EqualTo(((uint)int.MaxValue, BpeModel.LargestId)));
    }
}
