using Spectral.Training.Numerics;

namespace Spectral.Training.Tests.Numerics;

public sealed class NearestMeansTests
{
    /// <summary>Three heaps, far from each other: however it begins inside them, each ends as a group.</summary>
    [Test]
    public void HeapsAreFoundAgain()
    {
        var random = new Random(3);
        (float X, float Y)[] centres = [(0, 0), (10, 0), (0, 10)];
        float[] rows =
        [
            .. Enumerable
                .Range(0, 30)
                .SelectMany(i =>
                    new[]
                    {
                        centres[i % 3].X + (float)random.NextDouble(),
                        centres[i % 3].Y + (float)random.NextDouble(),
                    }
                ),
        ];
        bool found = Enumerable
            .Range(0, 20)
            .Any(seed =>
            {
                int[] group = NearestMeans.Divide(rows, 2, 3, 10, (uint)seed);
                return group.Take(3).Distinct().Count() == 3
                    && Enumerable.Range(0, 30).All(i => group[i] == group[i % 3]);
            });
        Assert.That(found, "a start with one row of each heap ends with the heaps");
    }

    /// <summary>On a line, by hand: from 0 and 1, means move to 0 and 7, and then nothing does.</summary>
    [Test]
    public void MeansMoveUntilNoRowDoes()
    {
        float[] rows = [0, 1, 10, 10];
        for (uint seed = 0; seed < 8; seed++)
        {
            int[] group = NearestMeans.Divide(rows, 1, 2, 10, seed);
            Assert.Multiple(() =>
            {
                Assert.That(group[2], Is.EqualTo(group[3]));
                Assert.That(group[0], Is.EqualTo(group[1]));
                Assert.That(group[0], Is.Not.EqualTo(group[2]));
            });
        }
    }

    [Test]
    public void NoRoundsLeaveRowsWithTheNearestOfTheFirst() =>
        Assert.That(NearestMeans.Divide([5, 5, 5], 1, 1, 0, 0), Is.EqualTo(new[] { 0, 0, 0 }));
}
