using Spectral.Training.Numerics;

namespace Spectral.Training.Tests.Numerics;

/// <summary>A growing basis stays orthonormal, whatever is added to it.</summary>
public sealed class OrthonormalBasisTests
{
    [TestCase(7, 3)]
    [TestCase(33, 33)]
    [TestCase(1, 1)]
    public void RandomVectorsGiveAnOrthonormalBasisOfTheirSpan(int length, int count)
    {
        var random = new Random(length);
        double[][] vectors = [.. Enumerable.Range(0, count).Select(_ => Random(random, length))];
        var basis = new OrthonormalBasis(length);
        foreach (double[] vector in vectors)
            Assert.That(basis.Append(vector));
        VerifyOrthonormal(basis, count);
        foreach (double[] vector in vectors)
            Assert.That(basis.Residual(vector), Is.LessThan(1e-13));
    }

    /// <summary>
    /// Columns of the Hilbert matrix: one pass of Gram–Schmidt loses orthogonality altogether, two keep it.
    /// </summary>
    [Test]
    public void NearlyDependentVectorsDoToo()
    {
        const int Length = 12;
        var basis = new OrthonormalBasis(Length);
        int added = 0;
        for (int column = 0; column < 8; column++)
        {
            if (basis.Append([.. Enumerable.Range(0, Length).Select(row => 1.0 / (row + column + 1))]))
                added++;
        }
        Assert.That(added, Is.GreaterThan(6));
        VerifyOrthonormal(basis, added);
    }

    [Test]
    public void WhatLiesInTheSpanIsNotAdded()
    {
        var basis = new OrthonormalBasis(3);
        Assert.That(basis.Append([3, 4, 0]));
        Assert.That(basis.Append([0, 0, 0]), Is.False);
        Assert.That(basis.Append([-6, -8, 0]), Is.False);
        Assert.That(basis.Append([1, 1, 1]));
        Assert.That(basis.Append([1, 0, 0]));
        Assert.That(basis.Append([1, 2, 3]), Is.False, "three vectors span everything");
        Assert.That(basis.Residual([1, 2, 3]), Is.LessThan(1e-14));
        Assert.That(() => basis.Append([1, 2]), Throws.ArgumentException);
    }

    [Test]
    public void TheResidualIsTheDistanceFromTheSpan()
    {
        var basis = new OrthonormalBasis(3);
        basis.Append([1, 1, 0]);
        // (2, 0, 1) less its part (1, 1, 0) is (1, −1, 1).
        Assert.That(basis.Residual([2, 0, 1]), Is.EqualTo(Math.Sqrt(3)).Within(1e-15));
    }

    private static double[] Random(Random random, int length) =>
        [.. Enumerable.Range(0, length).Select(_ => random.NextDouble() - 0.5)];

    private static void VerifyOrthonormal(OrthonormalBasis basis, int count)
    {
        HostMatrix rows = basis.Rows;
        Assert.That(rows.Rows, Is.EqualTo(count));
        for (int i = 0; i < count; i++)
        {
            for (int j = 0; j <= i; j++)
            {
                double product = 0;
                for (int k = 0; k < rows.Columns; k++)
                    product += rows[i, k] * rows[j, k];
                Assert.That(product, Is.EqualTo(i == j ? 1 : 0).Within(1e-14), $"[{i}, {j}]");
            }
        }
    }
}
