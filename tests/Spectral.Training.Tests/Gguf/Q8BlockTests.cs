using Spectral.Training.Gguf;

namespace Spectral.Training.Tests.Gguf;

/// <summary>Blocks of ggml's type Q8_0.</summary>
public sealed class Q8BlockTests
{
    /// <summary>The scale is 254 / 127 = 2, which is 0x4000 in half precision; a half rounds away from zero.</summary>
    [Test]
    public void ABlockHasTheBytesComputedByHand()
    {
        float[] values = [254, -254, 1, -1, 3, -3, 0.99f, 2, 0, 253, .. new float[22]];
        byte[] expected = [0x00, 0x40, 127, 0x81, 1, 0xFF, 2, 0xFE, 0, 1, 0, 127, .. new byte[22]];
        Assert.That(Block(values), Is.EqualTo(expected));
    }

    /// <summary>
    /// Values are divided by the scale in F32, not by the rounded one: max 1 gives 1/127, which rounds to 0x2008 or
    /// 0.0078735 in half precision, and 0.5 / (1/127) is 63.5.
    /// </summary>
    [Test]
    public void TheScaleIsRoundedOnlyInTheFile()
    {
        float[] values = [1, 0.5f, -0.5f, .. new float[29]];
        Assert.That(Block(values)[..5], Is.EqualTo((byte[])[0x08, 0x20, 127, 64, 0xC0]));
    }

    [Test]
    public void ZerosAndTinyValuesAreZero()
    {
        Assert.That(Block(new float[32]), Is.EqualTo(new byte[34]));
        Assert.That(Block([.. Enumerable.Repeat(1e-44f, 32)])[..2], Is.EqualTo(new byte[2]));
    }

    [Test]
    public void AScaleBeyondHalfPrecisionIsRefused() =>
        Assert.That(Q8Block.TryWrite([65520f * 127, .. new float[31]], new byte[34]), Is.False);

    private static byte[] Block(float[] values)
    {
        byte[] block = new byte[Q8Block.Bytes];
        Assert.That(Q8Block.TryWrite(values, block), Is.True);
        return block;
    }
}
