using System.Buffers.Binary;
using System.Text;

namespace Spectral.Training.Tests.Gguf;

/// <summary>
/// A GGUF file as its specification describes it, read without the code that writes one. Everything is checked: every
/// byte of the file is header, tensor or zero between them.
/// </summary>
internal sealed class GgufFile
{
    private readonly byte[] _bytes;
    private int _at;

    /// <summary>A tensor: its dimensions as in the file, innermost first, its type and its bytes.</summary>
    internal sealed record Entry(long[] Dimensions, int Type, byte[] Data);

    public GgufFile(string path)
    {
        _bytes = File.ReadAllBytes(path);
        Assert.That(Encoding.ASCII.GetString(Take(4)), Is.EqualTo("GGUF"));
        Assert.That(UInt32(), Is.EqualTo(3));
        ulong tensors = UInt64();
        ulong pairs = UInt64();
        for (ulong i = 0; i < pairs; i++)
            Metadata.Add(Text(), Value(UInt32()));
        List<(string Name, long[] Dimensions, int Type, ulong Offset)> infos = [];
        for (ulong i = 0; i < tensors; i++)
        {
            string name = Text();
            long[] dimensions = new long[UInt32()];
            for (int d = 0; d < dimensions.Length; d++)
                dimensions[d] = (long)UInt64();
            infos.Add((name, dimensions, (int)UInt32(), UInt64()));
        }
        Align();
        int data = _at;
        foreach ((string name, long[] dimensions, int type, ulong offset) in infos)
        {
            Align();
            Assert.That(offset, Is.EqualTo((ulong)(_at - data)), name);
            long count = dimensions.Aggregate(1L, (product, dimension) => product * dimension);
            int bytes = (int)(
                type switch
                {
                    0 => 4 * count,
                    1 or 30 => 2 * count,
                    8 => 34 * count / 32,
                    _ => throw new AssertionException($"{name} is of type {type}"),
                }
            );
            Tensors.Add(name, new Entry(dimensions, type, Take(bytes)));
        }
        Align();
        Assert.That(_at, Is.EqualTo(_bytes.Length), "the end of the file");
    }

    /// <summary>The values of the keys: texts, numbers, Booleans and lists of them.</summary>
    public Dictionary<string, object> Metadata { get; } = [];

    public Dictionary<string, Entry> Tensors { get; } = [];

    /// <summary>The values of a tensor, as the type means them.</summary>
    public double[] Values(string name)
    {
        (_, int type, byte[] data) = Tensors[name];
        return type switch
        {
            0 => [.. data.Chunk(4).Select(part => (double)BinaryPrimitives.ReadSingleLittleEndian(part))],
            1 => [.. data.Chunk(2).Select(part => (double)BinaryPrimitives.ReadHalfLittleEndian(part))],
            30 =>
            [
                .. data.Chunk(2)
                    .Select(part =>
                        (double)BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(part) << 16)
                    ),
            ],
            _ =>
            [
                .. data.Chunk(34)
                    .SelectMany(block =>
                        block[2..].Select(code => (double)BinaryPrimitives.ReadHalfLittleEndian(block) * (sbyte)code)
                    ),
            ],
        };
    }

    private byte[] Take(int count)
    {
        Assert.That(count, Is.LessThanOrEqualTo(_bytes.Length - _at), "the file ends early");
        _at += count;
        return _bytes[(_at - count).._at];
    }

    private void Align()
    {
        while (_at % 32 != 0)
            Assert.That(Take(1)[0], Is.Zero, "what is between tensors");
    }

    private uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

    private ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(8));

    private string Text() => Encoding.UTF8.GetString(Take((int)UInt64()));

    private object Value(uint type) =>
        type switch
        {
            4 => UInt32(),
            5 => (int)UInt32(),
            6 => BinaryPrimitives.ReadSingleLittleEndian(Take(4)),
            7 => Take(1)[0] != 0,
            8 => Text(),
            9 => List(UInt32(), (int)UInt64()),
            _ => throw new AssertionException($"a value of type {type}"),
        };

    private object[] List(uint type, int count) => [.. Enumerable.Range(0, count).Select(_ => Value(type))];
}
