using Spectral.Training.Numerics;

namespace Spectral.Training.Tests.Numerics;

/// <summary>The generator against numbers that NumPy printed: its own test set, and what others publish.</summary>
public sealed class NumpyGeneratorTests
{
    [Test]
    public void BitsAreThoseOfNumpysTestSet()
    {
        NumpyGenerator generator = new(0xdeadbeaf); // numpy/random/tests/data/pcg64-testset-1.csv
        ulong[] expected = [0x60d24054e17a0698, 0xd5e79d89856e4f12, 0xd254972fe64bd782];
        Assert.That(expected.Select(_ => generator.Next()), Is.EqualTo(expected));
    }

    [Test]
    public void TheFirstUniformNumbersAreThoseOfNumpysDocuments()
    {
        NumpyGenerator generator = new(42); // default_rng(42).random(3)
        double[] expected = [0.7739560485559633, 0.4388784397520523, 0.8585979199113825];
        Assert.That(expected.Select(_ => (generator.Next() >> 11) * Math.ScaleB(1, -53)), Is.EqualTo(expected));
    }

    [TestCase(42ul, new[] { 5, 6, 0, 7, 3, 2, 4, 9, 1, 8 })]
    [TestCase(7ul, new[] { 5, 2, 0, 4, 1, 3 })]
    [TestCase(3ul, new[] { 4, 2, 1, 3, 0 })]
    [TestCase(0ul, new[] { 2, 0, 1, 3 })]
    [TestCase(1ul, new[] { 0 })]
    [TestCase(1ul, new int[0])]
    public void ShuffledNumbersAreInNumpysOrder(ulong seed, int[] expected)
    {
        int[] values = [.. Enumerable.Range(0, expected.Length)];
        new NumpyGenerator(seed).Shuffle(values);
        Assert.That(values, Is.EqualTo(expected));
    }

    [Test]
    public void ChosenNumbersAreNumpys()
    {
        // default_rng(42).choice(20, 5, replace=False), and the first ten of choice(20000, 1000, replace=False)
        Assert.That(new NumpyGenerator(42).Choose(20, 5), Is.EqualTo(new[] { 13, 8, 11, 1, 19 }));
        int[] many = new NumpyGenerator(42).Choose(20000, 1000);
        Assert.That(many[..10], Is.EqualTo(new[] { 9742, 18275, 6853, 10003, 11897, 10066, 8199, 3744, 10438, 6514 }));
        Assert.That(many, Is.Unique.And.Length.EqualTo(1000));
    }

    [Test]
    public void ALargeSeedHasTwoWords() =>
        Assert.That(new NumpyGenerator(1ul << 32 | 42).Next(), Is.Not.EqualTo(new NumpyGenerator(42).Next()));
}
