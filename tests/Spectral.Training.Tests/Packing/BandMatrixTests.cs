using Spectral.Training.Numerics;
using Spectral.Training.Packing;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Packing;

/// <summary>Vectors in bands of bits are those of the formula, computed again in double.</summary>
public sealed class BandMatrixTests
{
    [Test]
    public void ValuesAreThoseOfTheFormula([Values(1, 2, 3, 8)] int bits, [Values(1, 127, 128, 129, 300)] int length)
    {
        HostMatrix vectors = Normal(3, length, bits);
        float[] values = BandMatrix.Of(vectors, [(bits, 3)]).ToFloats();
        for (int i = 0; i < 3; i++)
        {
            double[] expected = BandReference.Round(vectors.Row(i).ToArray(), bits);
            for (int j = 0; j < length; j++)
                Assert.That(values[(i * length) + j], Is.EqualTo(expected[j]).Within(1e-6), $"vector {i}, entry {j}");
        }
    }

    [Test]
    public void MoreBitsLoseLess()
    {
        HostMatrix vectors = Normal(1, 1000, 7);
        double[] errors = [.. Enumerable.Range(1, 8).Select(bits => Error(vectors, bits))];
        Assert.That(errors, Is.Ordered.Descending);
        Assert.That(errors[1], Is.LessThan(0.36), "four levels, the best of which lose 0.343 of a normal vector");
        Assert.That(errors[7], Is.LessThan(0.01));
    }

    [Test]
    public void BandsFollowEachOther()
    {
        HostMatrix vectors = Normal(6, 131, 3);
        var matrix = BandMatrix.Of(vectors, [(8, 1), (3, 2), (2, 3)]);
        Assert.That(matrix.Codes, Has.Length.EqualTo(((131 * (8 + 6 + 6)) + 7) / 8));
        float[] values = matrix.ToFloats();
        int[] bits = [8, 3, 3, 2, 2, 2];
        for (int i = 0; i < bits.Length; i++)
        {
            float[] alone = BandMatrix.Of(new HostMatrix(1, 131, vectors.Row(i).ToArray()), [(bits[i], 1)]).ToFloats();
            Assert.That(values[(i * 131)..((i + 1) * 131)], Is.EqualTo(alone), $"vector {i}");
        }
    }

    [Test]
    public void AVectorOfZerosStaysOne() =>
        Assert.That(BandMatrix.Of(new HostMatrix(1, 5), [(2, 1)]).ToFloats(), Is.All.Zero);

    [TestCase(1e-30)]
    [TestCase(1e30)]
    public void TheSizeOfAVectorIsInItsNorm(double size)
    {
        HostMatrix vectors = Normal(1, 200, 5);
        HostMatrix scaled = new(1, 200, [.. vectors.Values.Select(value => size * value)]);
        Assert.That(Error(scaled, 8), Is.EqualTo(Error(vectors, 8)).Within(1e-5));
    }

    private static double Error(HostMatrix vectors, int bits)
    {
        float[] values = BandMatrix.Of(vectors, [(bits, vectors.Rows)]).ToFloats();
        double lost = vectors.Values.Zip(values, (value, rounded) => (value - rounded) * (value - rounded)).Sum();
        return Math.Sqrt(lost / vectors.SquaredNorm());
    }

    private static HostMatrix Normal(int rows, int columns, int seed)
    {
        Random random = new(seed);
        double Next() =>
            Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        return new HostMatrix(rows, columns, [.. Enumerable.Range(0, rows * columns).Select(_ => Next())]);
    }
}
