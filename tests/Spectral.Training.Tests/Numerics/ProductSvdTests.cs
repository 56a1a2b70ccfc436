using Spectral.Kernels;
using Spectral.Kernels.Tests.Support;
using Spectral.Training.Numerics;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Numerics;

/// <summary>The SVD of a product of factors is that of the product, at odd sizes.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class ProductSvdTests(DeviceKind kind)
{
    [TestCase(7, 9, 5)]
    [TestCase(5, 9, 7)]
    [TestCase(11, 11, 11)]
    [TestCase(1, 3, 4)]
    public void FactorsOfFullRankHaveTheValuesOfTheirProduct(int rows, int rank, int columns)
    {
        (float[] left, float[] right) = (Values(rows * rank, 1), Values(rank * columns, 2));
        ProductSvd svd = Of(left, right, rows, rank, columns);
        (_, double[] expected, _) = JacobiSvd.Of(Product(left, right, rows, rank, columns));
        Assert.That(svd.Values, Is.EqualTo(expected).Within(1e-13 * expected[0]));
    }

    [TestCase(13, 3, 8)]
    [TestCase(8, 3, 13)]
    [TestCase(7, 9, 5)]
    [TestCase(6, 1, 1)]
    public void TheTripletsMakeUpTheProduct(int rows, int rank, int columns)
    {
        (float[] left, float[] right) = (Values(rows * rank, 3), Values(rank * columns, 4));
        ProductSvd svd = Of(left, right, rows, rank, columns);
        Dense product = Product(left, right, rows, rank, columns);
        Dense sum = Rows(svd.Left).Transposed * Dense.Diagonal(svd.Values) * Rows(svd.Right);
        Assert.That(sum.Values, Is.EqualTo(product.Values).Within(1e-13 * svd.Values[0]));
        Assert.That(svd.Values, Is.Ordered.Descending);
        foreach (HostMatrix vectors in new[] { svd.Left, svd.Right })
        {
            Dense gram = Rows(vectors) * Rows(vectors).Transposed;
            Assert.That(gram.Values, Is.EqualTo(Dense.Identity(vectors.Rows).Values).Within(1e-13));
        }
    }

    [Test]
    public void WhatIsBelowRoundingCountsAsZero()
    {
        float[] left = Values(9 * 4, 5);
        float[] right = Values(4 * 6, 6);
        for (int row = 0; row < 9; row++)
            left[(row * 4) + 3] = left[row * 4];
        ProductSvd svd = Of(left, right, 9, 4, 6);
        Assert.That(svd.Values[2], Is.GreaterThan(1e-3));
        Assert.That(svd.Values[3], Is.Zero, "two columns of L are the same");
        Assert.That(svd.RankFor(1), Is.EqualTo(3));
    }

    [Test]
    public void WithoutAChangeTheRankIsOne()
    {
        ProductSvd svd = Of(new float[5 * 2], Values(2 * 3, 7), 5, 2, 3);
        Assert.That(svd.Values, Is.All.Zero);
        Assert.That(svd.RankFor(1), Is.EqualTo(1));
        Assert.That(svd.BalancedLeft(2), Is.All.Zero);
        Assert.That(svd.BalancedRight(2), Is.All.Zero);
    }

    private ProductSvd Of(float[] left, float[] right, int rows, int rank, int columns) =>
        ProductSvd.Of(Devices.Get(kind), left, right, rows, rank, columns);

    private static Dense Product(float[] left, float[] right, int rows, int rank, int columns) =>
        Dense.Of(rows, rank, Array.ConvertAll(left, value => (double)value))
        * Dense.Of(rank, columns, Array.ConvertAll(right, value => (double)value));

    private static Dense Rows(HostMatrix matrix) => Dense.Of(matrix.Rows, matrix.Columns, matrix.Values);

    private static float[] Values(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
    }
}
