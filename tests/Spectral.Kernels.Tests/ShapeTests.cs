namespace Spectral.Kernels.Tests;

public sealed class ShapeTests
{
    [Test]
    public void CountsAndPrints()
    {
        Shape shape = (2, 3, 4);
        Assert.That((shape.Rank, shape.Count, shape[2], shape.ToString()), Is.EqualTo((3, 24L, 4, "[2, 3, 4]")));
    }

    [Test]
    public void EqualityLooksAtRankAndEveryDimension()
    {
        Assert.That((Shape)(2, 3) == (2, 3), Is.True);
        Assert.That((Shape)(2, 3) == (3, 2), Is.False);
        Assert.That((Shape)(2, 1) == 2, Is.False);
    }

    [Test]
    public void NegativeDimensionsAndOverflowAreRefused()
    {
        Assert.That(() => (Shape)(2, -1), Throws.ArgumentException.With.Message.Contains("dimension 1 is -1"));
        Assert.That(() => (Shape)(int.MaxValue, int.MaxValue, int.MaxValue), Throws.TypeOf<OverflowException>());
    }
}
