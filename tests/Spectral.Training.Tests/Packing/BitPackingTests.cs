using Spectral.Training.Packing;

namespace Spectral.Training.Tests.Packing;

/// <summary>Codes of any width come back, and take no more bits than they have.</summary>
public sealed class BitPackingTests
{
    [Test]
    public void CodesOfAllWidthsComeBack([Values(1, 2, 3, 5, 7, 8)] int width, [Values(0, 1, 7, 8, 9, 129)] int count)
    {
        Random random = new(width);
        int[] codes = [.. Enumerable.Range(0, count).Select(_ => random.Next(1 << width))];
        BitWriter writer = new((long)count * width);
        foreach (int code in codes)
            writer.Write(code, width);
        Assert.That(writer.Bytes, Has.Length.EqualTo(((count * width) + 7) / 8));
        BitReader reader = new(writer.Bytes);
        int[] read = new int[count];
        for (int i = 0; i < count; i++)
            read[i] = reader.Read(width);
        Assert.That(read, Is.EqualTo(codes));
    }

    [Test]
    public void TheFirstCodeIsInTheLowestBits()
    {
        BitWriter writer = new(11);
        writer.Write(0b101, 3);
        writer.Write(0b11111110, 8);
        Assert.That(writer.Bytes, Is.EqualTo(new byte[] { 0b11110101, 0b00000111 }));
    }
}
