using System.Globalization;
using Spectral.Training.Tokenization;

namespace Spectral.Training.Tests.Tokenization;

public sealed class PieceCacheTests
{
    [Test]
    public void MorePiecesThanSlotsFromSeveralThreadsGiveTheRightIdsOrNone()
    {
        const int Pieces = 200_000;
        PieceCache cache = new();
        int[] found = new int[4];
        Parallel.For(
            0,
            found.Length,
            thread =>
            {
                List<int> ids = [];
                for (int i = 0; i < 2 * Pieces; i++)
                {
                    // Each thread begins elsewhere; n is the piece's only right answer, written one to three times.
                    int n = (i + (thread * Pieces / 4)) % Pieces;
                    string piece = n.ToString(CultureInfo.InvariantCulture);
                    int[] right = [.. Enumerable.Repeat(n, 1 + (n % 3))];
                    ids.Clear();
                    if (!cache.TryAppend(piece, ids))
                        cache.Set(piece, right);
                    else if (ids.SequenceEqual(right))
                        found[thread]++;
                    else
                        throw new InvalidOperationException($"{piece}: {string.Join(' ', ids)}");
                }
            }
        );
        Assert.That(found.Sum(), Is.GreaterThan(0));
    }

    [Test]
    public void PiecesOfManyIdsAreNotKept()
    {
        PieceCache cache = new();
        List<int> ids = [];
        cache.Set("a", new int[33]);
        cache.Set("b", new int[32]);
        Assert.That((cache.TryAppend("a", ids), cache.TryAppend("b", ids), ids.Count), Is.EqualTo((false, true, 32)));
    }
}
