using Spectral.Training.Numerics;

namespace Spectral.Training.Tests.Numerics;

/// <summary>Ramer-Douglas-Peucker on curves with known corners, and against the recursion with a tolerance.</summary>
public sealed class PolylineTests
{
    [Test]
    public void CornersAreKeptBeforeStraightParts()
    {
        // Three sides of a rectangle, one longer than the others; the corners are points 3 and 8.
        double[][] points =
        [
            [0, 0],
            [1, 0],
            [2, 0],
            [3, 0],
            [3, 1],
            [3, 2],
            [3, 3],
            [3, 4],
            [3, 5],
            [2, 5],
            [1, 5],
        ];
        Assert.Multiple(() =>
        {
            Assert.That(Kept(points, 1), Is.EqualTo(new[] { 10 }));
            Assert.That(Kept(points, 2), Is.EqualTo(new[] { 0, 10 }));
            Assert.That(Kept(points, 4), Is.EqualTo(new[] { 0, 3, 8, 10 }));
            Assert.That(Kept(points, 99), Is.EqualTo(Enumerable.Range(0, 11)));
        });
    }

    [Test]
    public void TheDistanceIsThatFromTheSegment()
    {
        // From (0, 0) to (4, 0): a point beyond the end is √(3² + 4²) from it, one above the middle 2.
        double[][] points =
        [
            [0, 0],
            [2, 2],
            [7, 4],
            [4, 0],
        ];
        IReadOnlyDictionary<int, double> kept = Polyline.Simplify(points, 3);
        Assert.That(kept.Keys, Is.EquivalentTo(new[] { 0, 2, 3 }));
        Assert.That(kept[2], Is.EqualTo(5).Within(1e-12));
    }

    [Test]
    public void ALineThatReturnsToItsStartHasItsFarthestPoint() =>
        Assert.That(
            Kept(
                [
                    [1, 1, 1],
                    [2, 1, 1],
                    [1, 4, 1],
                    [1, 1, 1],
                ],
                3
            ),
            Is.EqualTo(new[] { 0, 2, 3 })
        );

    [Test]
    public void ACountGivesWhatATolerancePasses([Values(3, 7, 33)] int dimensions)
    {
        Random random = new(dimensions);
        double[][] points =
        [
            .. Enumerable
                .Range(0, 29)
                .Select(_ => Enumerable.Range(0, dimensions).Select(_ => random.NextDouble()).ToArray()),
        ];
        for (double tolerance = 2; tolerance > 0.01; tolerance *= 0.8)
        {
            SortedSet<int> expected = [0, points.Length - 1];
            Split(points, 0, points.Length - 1, tolerance, expected);
            Assert.That(Kept(points, expected.Count), Is.EqualTo(expected), $"tolerance {tolerance}");
        }
    }

    private static int[] Kept(double[][] points, int count) => [.. Polyline.Simplify(points, count).Keys.Order()];

    private static void Split(double[][] points, int first, int last, double tolerance, SortedSet<int> kept)
    {
        (int farthest, double distance) = (-1, tolerance);
        for (int i = first + 1; i < last; i++)
        {
            double found = FromSegment(points[i], points[first], points[last]);
            if (found > distance)
                (farthest, distance) = (i, found);
        }
        if (farthest < 0)
            return;
        kept.Add(farthest);
        Split(points, first, farthest, tolerance, kept);
        Split(points, farthest, last, tolerance, kept);
    }

    /// <summary>The distance from a segment by a search along it.</summary>
    private static double FromSegment(double[] point, double[] from, double[] to)
    {
        (double low, double high) = (0, 1);
        for (int i = 0; i < 100; i++)
        {
            (double left, double right) = (low + (high - low) / 3, high - (high - low) / 3);
            if (At(left) < At(right))
                high = right;
            else
                low = left;
        }
        return At((low + high) / 2);

        double At(double share) =>
            Math.Sqrt(point.Select((x, i) => Math.Pow(x - from[i] - share * (to[i] - from[i]), 2)).Sum());
    }
}
