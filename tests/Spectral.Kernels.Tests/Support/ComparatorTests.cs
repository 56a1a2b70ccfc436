namespace Spectral.Kernels.Tests.Support;

public sealed class ComparatorTests
{
    private static void Compare(
        double actual,
        double expected,
        DType type = DType.F32,
        double? magnitude = null,
        int n = 1
    ) => Comparator.Verify([actual], [expected], type, magnitude is { } m ? [m] : null, n, "value");

    private static void Fails(Action compare)
    {
        using (new NUnit.Framework.Internal.TestExecutionContext.IsolatedContext())
            Assert.That(compare, Throws.InstanceOf<AssertionException>());
    }

    [Test]
    public void NaNFails() => Fails(() => Compare(double.NaN, 1));

    [Test]
    public void InfinityFails() => Fails(() => Compare(double.PositiveInfinity, 1));

    [Test]
    public void NaNIsAcceptedOnlyWhereExpected()
    {
        Compare(double.NaN, double.NaN);
        Fails(() => Compare(1, double.NaN));
    }

    [TestCase(1e-5)]
    [TestCase(-1e-5)]
    public void AnErrorBeyondTheBoundFails(double error) => Fails(() => Compare(1 + error, 1));

    [Test]
    public void RoundingOfTheTypePasses()
    {
        Compare(1 + 1.0 / (1 << 23), 1);
        Compare(1 + 1.0 / (1 << 8), 1, DType.BF16);
        Fails(() => Compare(1 + 1.0 / (1 << 8), 1, DType.F32));
    }

    [Test]
    public void ABoundGrowsWithTheTermsNotWithTheSumAlone()
    {
        Compare(1e-5, 0, magnitude: 100, n: 100);
        Fails(() => Compare(1e-2, 0, magnitude: 100, n: 100));
    }

    [Test]
    public void AnotherLengthFails() => Fails(() => Comparator.Verify([1], [1, 2], DType.F32, null, 1, "value"));
}
