using System.Buffers.Binary;
using System.Text;
using Spectral.Training.IO;
using Spectral.Training.Tests.Support;

namespace Spectral.Training.Tests.IO;

public sealed class SafetensorsWriterTests : FolderTest
{
    [Test]
    public void BytesAreAsTheFormatSays()
    {
        string path = folder.File("t.safetensors");

        SafetensorsWriter.Write(
            path,
            [
                TensorToWrite.Floats("z", StoredType.BF16, [2], () => [1, -2]),
                TensorToWrite.Floats("b", StoredType.F32, [], () => [0.5f]),
                TensorToWrite.Floats("a", StoredType.F32, [1, 1], () => [-1]),
            ],
            new Dictionary<string, string> { ["format"] = "pt" }
        );

        byte[] bytes = File.ReadAllBytes(path);
        int header = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        Assert.That(header % 8, Is.Zero);
        Assert.That(
            Encoding.UTF8.GetString(bytes, 8, header).TrimEnd(' '),
            Is.EqualTo(
                """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,1],"data_offsets":"""
                    + """[0,4]},"b":{"dtype":"F32","shape":[],"data_offsets":[4,8]},"z":"""
                    + """{"dtype":"BF16","shape":[2],"data_offsets":[8,12]}}"""
            )
        );
        Assert.That(
            bytes[(8 + header)..],
            Is.EqualTo(new byte[] { 0, 0, 0x80, 0xBF, 0, 0, 0, 0x3F, 0x80, 0x3F, 0, 0xC0 })
        );
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1), "no temporary file stays");
    }

    [TestCase(1f, (ushort)0x3F80)]
    [TestCase(1.00390625f, (ushort)0x3F80, TestName = "tie to even, down")]
    [TestCase(1.01171875f, (ushort)0x3F82, TestName = "tie to even, up")]
    [TestCase(1.00391f, (ushort)0x3F81)]
    [TestCase(3.4e38f, (ushort)0x7F80)]
    [TestCase(float.NegativeInfinity, (ushort)0xFF80)]
    public void Bf16RoundsToNearestEven(float value, ushort bits) =>
        Assert.That(TensorToWrite.ToBFloat16(value), Is.EqualTo(bits));

    [Test]
    public void Bf16KeepsNan()
    {
        float nan = BitConverter.UInt32BitsToSingle(0x7F800001);
        Assert.That(BitConverter.UInt32BitsToSingle((uint)TensorToWrite.ToBFloat16(nan) << 16), Is.NaN);
    }

    [Test]
    public void RandomTensorsComeBackBitForBit(
        [Values(StoredType.F32, StoredType.BF16, StoredType.F16)] StoredType type
    )
    {
        const int Seed = 17;
        Random random = new(Seed);
        List<TensorToWrite> tensors = [];
        Dictionary<string, float[]> expected = [];
        for (int i = 0; i < 20; i++)
        {
            long[] shape = [.. Enumerable.Range(0, random.Next(4)).Select(_ => (long)random.Next(i == 3 ? 1 : 0, 40))];
            float[] values = new float[shape.Aggregate(1L, (a, b) => a * b)];
            for (int j = 0; j < values.Length; j++)
                values[j] = random.Next(-2048, 2048) / (type == StoredType.BF16 ? 2048f * 16 : 2048f);
            if (type == StoredType.BF16)
            {
                values =
                [
                    .. values.Select(value =>
                        BitConverter.UInt32BitsToSingle((uint)TensorToWrite.ToBFloat16(value) << 16)
                    ),
                ];
            }

            tensors.Add(TensorToWrite.Floats($"tensor.{i}.ü", type, shape, () => values));
            expected.Add($"tensor.{i}.ü", values);
        }
        string path = folder.File("t.safetensors");
        SafetensorsWriter.Write(path, tensors);
        using var file = SafetensorsFile.Open(path);

        foreach ((string name, float[] values) in expected)
            Assert.That(file[name].ToFloats(), Is.EqualTo(values), name);

        SafetensorsWriter.Write(
            folder.File("copy.safetensors"),
            [.. file.Tensors.Values.Select(tensor => TensorToWrite.Copy(tensor))]
        );
        Assert.That(File.ReadAllBytes(folder.File("copy.safetensors")), Is.EqualTo(File.ReadAllBytes(path)));
    }

    [Test]
    public void AFailureKeepsTheOldFileAndLeavesNoOther()
    {
        string path = folder.Write("t.safetensors", "old");

        Assert.Throws<InvalidOperationException>(() =>
            SafetensorsWriter.Write(path, [new TensorToWrite("t", StoredType.F32, [2], stream => stream.WriteByte(1))])
        );

        Assert.That(File.ReadAllText(path), Is.EqualTo("old"));
        Assert.That(Directory.GetFiles(folder.Path), Has.Length.EqualTo(1));
    }

    [Test]
    public void ImpossibleTensorsAreRefused()
    {
        string path = folder.File("t.safetensors");
        TensorToWrite tensor = TinyModel.Numbered("t", [1]);
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(path, [tensor, tensor]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(path, [tensor with { Name = "__metadata__" }]));
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(path, [tensor with { Shape = [-1] }]));
        Assert.Throws<ArgumentException>(() => TensorToWrite.Floats("t", StoredType.I64, [1], () => [1]));
        Assert.That(File.Exists(path), Is.False);
    }
}
