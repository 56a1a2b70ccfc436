using Spectral.Training.Gguf;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.Gguf;

/// <summary>The bytes of GGUF files.</summary>
public sealed class GgufWriterTests : FolderTest
{
    private string Path => folder.File("file.gguf");

    /// <summary>A whole file, byte by byte, as the specification of version 3 has it.</summary>
    [Test]
    public void ASmallFileHasTheseBytes()
    {
        GgufMetadata metadata = new();
        metadata.Add("a.b", 7);
        metadata.Add("c", ["x", "yz"]);
        GgufWriter.Write(
            Path,
            metadata,
            [Tensor("t", GgufType.F32, [1, 2], 1, -2), Tensor("u", GgufType.F16, [3], 1, 2, 3)]
        );
        byte[] header =
        [
            .. "GGUF"u8,
            .. Int32(3),
            .. Int64(2), // tensors
            .. Int64(2), // keys
            .. Int64(3),
            .. "a.b"u8,
            .. Int32(4), // an unsigned integer
            .. Int32(7),
            .. Int64(1),
            .. "c"u8,
            .. Int32(9), // a list
            .. Int32(8), // of texts
            .. Int64(2),
            .. Int64(1),
            .. "x"u8,
            .. Int64(2),
            .. "yz"u8,
            .. Int64(1),
            .. "t"u8,
            .. Int32(2), // dimensions, innermost first
            .. Int64(2),
            .. Int64(1),
            .. Int32(0),
            .. Int64(0),
            .. Int64(1),
            .. "u"u8,
            .. Int32(1),
            .. Int64(3),
            .. Int32(1),
            .. Int64(32),
        ];
        byte[] padding = new byte[(32 - header.Length % 32) % 32];
        byte[] first = [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, .. new byte[24]];
        byte[] second = [0, 0x3C, 0, 0x40, 0, 0x42, .. new byte[26]];
        Assert.That(File.ReadAllBytes(Path), Is.EqualTo((byte[])[.. header, .. padding, .. first, .. second]));
    }

    [Test]
    public void EveryTypeIsReadBack([Values] GgufType type)
    {
        Random random = new(3);
        float[] values = [.. Enumerable.Range(0, 5 * 64).Select(_ => (float)(random.NextDouble() - 0.5))];
        GgufWriter.Write(
            Path,
            new GgufMetadata(),
            [Tensor("t", type, [5, 64], values), Tensor("v", GgufType.F32, [1], 2)]
        );
        GgufFile file = new(Path);
        Assert.That(file.Tensors["t"].Dimensions, Is.EqualTo([64L, 5L]));
        double[] read = file.Values("t");
        // Half a step of the type at values below 0.5: of 24, 11 or 8 bits, or of a block with its rounded scale.
        double step = type switch
        {
            GgufType.F32 => 0,
            GgufType.F16 => Math.Pow(2, -13),
            GgufType.BF16 => Math.Pow(2, -10),
            _ => (0.5 / 127 / 2) + (0.5 * Math.Pow(2, -11)),
        };
        for (int i = 0; i < values.Length; i++)
            Assert.That(read[i], Is.EqualTo(values[i]).Within(step));
    }

    [Test]
    public void PiecesAreWrittenOneAfterAnother()
    {
        GgufTensor tensor = new("t", GgufType.Q8, [2, 1, 32], () => [Range(0), Range(32)]);
        GgufWriter.Write(Path, new GgufMetadata(), [tensor]);
        GgufFile file = new(Path);
        Assert.That(file.Tensors["t"].Dimensions, Is.EqualTo([32L, 1L, 2L]));
        Assert.That(file.Values("t"), Is.EqualTo(Enumerable.Range(0, 64).Select(i => (double)i)).Within(0.26));

        static float[] Range(int from) => [.. Enumerable.Range(from, 32).Select(i => (float)i)];
    }

    /// <summary>A full disk, a value without end, a bug: nothing stays, and an old file is as it was.</summary>
    [Test]
    public void AFailureLeavesTheOldFile()
    {
        File.WriteAllText(Path, "old");
        IOException full = new("No space left on device");
        GgufTensor[] failing =
        [
            Tensor("good", GgufType.F32, [2], 1, 2),
            new("bad", GgufType.F32, [2], () => throw full),
        ];
        Assert.That(() => GgufWriter.Write(Path, new GgufMetadata(), failing), Throws.Exception.SameAs(full));
        Assert.That(File.ReadAllText(Path), Is.EqualTo("old"));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));
    }

    [TestCase(GgufType.F32, float.NaN, "come to")]
    [TestCase(GgufType.F16, 1e6f, "more than f16 holds; expected --dtype f32 or bf16")]
    [TestCase(GgufType.BF16, float.MaxValue, "more than bf16 holds")]
    [TestCase(GgufType.Q8, 1e8f, "more than q8_0 holds")]
    public void ValuesThatATypeLacksAreRefused(GgufType type, float value, string message)
    {
        GgufTensor tensor = Tensor("blk.0.x", type, [32], [.. Enumerable.Repeat(0f, 31), value]);
        Assert.That(
            () => GgufWriter.Write(Path, new GgufMetadata(), [tensor]),
            Throws.TypeOf<InputException>().With.Message.Match($"tensor blk.0.x .*({message})")
        );
        Assert.That(Directory.GetFiles(folder.Path), Is.Empty);
    }

    [Test]
    public void ImpossibleTensorsAreRefused()
    {
        Assert.That(() => Write(Tensor("t", GgufType.F32, [], 1)), Throws.ArgumentException);
        Assert.That(() => Write(Tensor("t", GgufType.F32, [0])), Throws.ArgumentException);
        Assert.That(() => Write(Tensor("t", GgufType.F32, [1, 1, 1, 1, 1], 1)), Throws.ArgumentException);
        Assert.That(() => Write(Tensor("t", GgufType.Q8, [2, 16], new float[32])), Throws.ArgumentException);
        Assert.That(() => Write(Tensor(new string('t', 64), GgufType.F32, [1], 1)), Throws.ArgumentException);
        GgufTensor once = Tensor("t", GgufType.F32, [1], 1);
        Assert.That(() => Write(once, once), Throws.ArgumentException);
        Assert.That(() => Write(Tensor("t", GgufType.F32, [3], 1)), Throws.InvalidOperationException, "too few values");
        GgufMetadata metadata = new();
        metadata.Add("key", 1);
        Assert.That(() => metadata.Add("key", "again"), Throws.ArgumentException);
    }

    private void Write(params GgufTensor[] tensors) => GgufWriter.Write(Path, new GgufMetadata(), tensors);

    private static GgufTensor Tensor(string name, GgufType type, long[] shape, params float[] values) =>
        new(name, type, shape, () => [values]);

    private static byte[] Int32(int value) => BitConverter.GetBytes(value);

    private static byte[] Int64(long value) => BitConverter.GetBytes(value);
}
