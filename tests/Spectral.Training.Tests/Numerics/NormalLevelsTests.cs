using Spectral.Training.Numerics;

namespace Spectral.Training.Tests.Numerics;

/// <summary>Levels of normal numbers; the figures come from the quantiles of Python's statistics.NormalDist.</summary>
public sealed class NormalLevelsTests
{
    [TestCase(1, new[] { 0.6744897501960817 })]
    [TestCase(2, new[] { 0.37775416114944965, 1.2657203250220042 })]
    [TestCase(3, new[] { 0.20262380307074468, 0.6254197260644315, 1.113728937876621, 1.7920250350537366 })]
    public void LevelsAreTheMediansOfTheirCells(int bits, double[] upper)
    {
        double[] centres = NormalLevels.Of(bits).Centres;
        Assert.That(centres[upper.Length..], Is.EqualTo(upper).Within(1e-12));
        Assert.That(centres[..upper.Length].Reverse(), Is.EqualTo(upper.Select(level => -level)).Within(1e-12));
    }

    [Test]
    public void ANumberFallsIntoTheCellOfTheNearestLevel([Range(1, NormalLevels.MostBits)] int bits)
    {
        var levels = NormalLevels.Of(bits);
        for (double x = -3.01; x < 3; x += 0.07)
        {
            double nearest = levels.Centres.MinBy(level => Math.Abs(level - x));
            Assert.That(levels.Centres[levels.CellOf(x)], Is.EqualTo(nearest), $"{x}");
        }
    }
}
