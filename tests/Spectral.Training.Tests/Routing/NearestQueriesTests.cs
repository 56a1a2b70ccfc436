using Spectral.Training.Routing;

namespace Spectral.Training.Tests.Routing;

/// <summary>The choice by nearest queries, against a search in double that counts one query after the other.</summary>
public sealed class NearestQueriesTests
{
    [TestCase(1, 1, 1, 1)]
    [TestCase(7, 2, 3, 1)]
    [TestCase(33, 3, 5, 4)]
    [TestCase(61, 4, 13, 10)]
    [TestCase(40, 3, 129, 40)]
    public void MostOfTheNearestDecide(int queries, int experts, int size, int count)
    {
        Random random = new(queries);
        float[][] features = [.. Enumerable.Range(0, queries).Select(_ => Feature(random, size))];
        int[] owners = [.. Enumerable.Range(0, queries).Select(_ => random.Next(experts))];
        NearestQueries nearest = new(features, owners, count);
        for (int i = 0; i < 50; i++)
        {
            float[] feature = Feature(random, size);
            Assert.That(nearest.Choose(feature), Is.EqualTo(Reference(features, owners, count, feature)));
        }
    }

    [Test]
    public void OfEquallyManyTheNearestQueryDecides()
    {
        NearestQueries nearest = new(
            [
                [0],
                [4],
                [10],
                [11],
            ],
            [0, 1, 1, 0],
            2
        );
        Assert.That(nearest.Choose([1.9f]), Is.Zero);
        Assert.That(nearest.Choose([2.1f]), Is.EqualTo(1));
    }

    [Test]
    public void OfEquallyDistantQueriesTheFirstIsNearest() =>
        Assert.That(
            new NearestQueries(
                [
                    [3],
                    [-3],
                ],
                [1, 0],
                1
            ).Choose([0]),
            Is.EqualTo(1)
        );

    [Test]
    public void DistancesAreEuclidean()
    {
        // By the cosine the second is nearest, by the sum of differences the third.
        NearestQueries nearest = new(
            [
                [1.6f, 0.4f],
                [9, 9],
                [1, 2.1f],
            ],
            [0, 1, 2],
            1
        );
        Assert.That(nearest.Choose([1, 1]), Is.Zero);
    }

    private static float[] Feature(Random random, int size) =>
        [.. Enumerable.Range(0, size).Select(_ => random.NextSingle() - 0.5f)];

    private static int Reference(float[][] features, int[] owners, int count, float[] feature)
    {
        double[] distances =
        [
            .. features.Select(query => Math.Sqrt(query.Select((x, i) => Math.Pow((double)x - feature[i], 2)).Sum())),
        ];
        int[] votes = new int[owners.Max() + 1];
        int[] first = new int[votes.Length];
        for (int place = 0; place < count; place++)
        {
            int next = Array.IndexOf(distances, distances.Min());
            distances[next] = double.PositiveInfinity;
            if (votes[owners[next]]++ == 0)
                first[owners[next]] = place;
        }
        int best = -1;
        for (int expert = 0; expert < votes.Length; expert++)
        {
            if (
                votes[expert] > 0
                && (
                    best < 0
                    || votes[expert] > votes[best]
                    || (votes[expert] == votes[best] && first[expert] < first[best])
                )
            )
            {
                best = expert;
            }
        }
        return best;
    }
}
