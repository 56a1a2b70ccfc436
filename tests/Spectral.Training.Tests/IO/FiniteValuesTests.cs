using Spectral.Training.IO;

namespace Spectral.Training.Tests.IO;

public sealed class FiniteValuesTests
{
    /// <summary>
    /// Every place, in and behind whole vectors, and each kind of value; the largest finite ones are none of them.
    /// </summary>
    [Test]
    public void TheFirstOneIsFoundWhereverItIs(
        [Values(0, 1, 15, 16, 33, 64)] int count,
        [Values(float.NaN, float.PositiveInfinity, float.NegativeInfinity)] float odd
    )
    {
        float[] values = [.. Enumerable.Range(0, count).Select(i => i % 2 == 0 ? float.MaxValue : -float.MaxValue)];
        Assert.That(FiniteValues.FirstNonFinite(values), Is.EqualTo(-1));
        for (int i = count - 1; i >= 0; i--)
        {
            values[i] = odd;
            Assert.That(FiniteValues.FirstNonFinite(values), Is.EqualTo(i));
        }
    }

    [Test]
    public void APlaceIsNamedByItsIndices() =>
        Assert.That(FiniteValues.Describe(double.NaN, 23, [2, 3, 4]), Is.EqualTo("NaN at [1, 2, 3]"));

    /// <summary>
    /// The bound of rounding to an infinity is half a step above the largest value: 65520 of F16 (65504 + 16).
    /// </summary>
    [TestCase(StoredType.F16, 65519.996f, 65520f)]
    [TestCase(StoredType.BF16, 3.3953135e38f, 3.3961776e38f)]
    public void WhatRoundsToAnInfinityIsNotWritten(StoredType type, float fits, float overflows)
    {
        TensorToWrite.Floats("t", type, [2], () => [1, -fits]).Write(Stream.Null);
        Assert.That(
            () => TensorToWrite.Floats("t", type, [2], () => [1, -overflows]).Write(Stream.Null),
            Throws
                .TypeOf<InputException>()
                .With.Message.Contains("tensor t")
                .And.Message.Contains(type.HeaderName())
                .And.Message.Contains("--dtype f32")
        );
    }

    [Test]
    public void WhatIsNotFiniteIsNotWritten(
        [Values(StoredType.F32, StoredType.F64, StoredType.BF16)] StoredType type
    ) =>
        Assert.That(
            () => TensorToWrite.Floats("t", type, [1, 2], () => [1, float.NaN]).Write(Stream.Null),
            Throws.TypeOf<InputException>().With.Message.Contains("tensor t has come to NaN at [0, 1]")
        );
}
