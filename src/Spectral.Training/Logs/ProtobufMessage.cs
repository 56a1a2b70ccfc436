using System.Buffers.Binary;
using System.Text;

namespace Spectral.Training.Logs;

/// <summary>A message in the wire format of Protocol Buffers, built field by field.</summary>
internal sealed class ProtobufMessage
{
    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int Bytes = 2;
    private const int Fixed32 = 5;

    private readonly MemoryStream _bytes = new();

    /// <summary>The message so far.</summary>
    public ReadOnlySpan<byte> Encoded => _bytes.GetBuffer().AsSpan(0, (int)_bytes.Length);

    /// <summary>Adds a field of type double.</summary>
    public ProtobufMessage Double(int field, double value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(bytes, value);
        Tag(field, Fixed64);
        _bytes.Write(bytes);
        return this;
    }

    /// <summary>Adds a field of type float.</summary>
    public ProtobufMessage Float(int field, float value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        Tag(field, Fixed32);
        _bytes.Write(bytes);
        return this;
    }

    /// <summary>Adds a field of type int64 or of an enumeration.</summary>
    public ProtobufMessage Integer(int field, long value)
    {
        Tag(field, Varint);
        WriteVarint((ulong)value);
        return this;
    }

    /// <summary>Adds a field of type string.</summary>
    public ProtobufMessage Text(int field, string value) => Add(field, Encoding.UTF8.GetBytes(value));

    /// <summary>Adds a field that is a message itself.</summary>
    public ProtobufMessage Message(int field, ProtobufMessage value) => Add(field, value.Encoded);

    private ProtobufMessage Add(int field, ReadOnlySpan<byte> bytes)
    {
        Tag(field, Bytes);
        WriteVarint((ulong)bytes.Length);
        _bytes.Write(bytes);
        return this;
    }

    private void Tag(int field, int wireType) => WriteVarint(((ulong)field << 3) | (uint)wireType);

    private void WriteVarint(ulong value)
    {
        for (; value >= 0x80; value >>= 7)
            _bytes.WriteByte((byte)(value | 0x80));
        _bytes.WriteByte((byte)value);
    }
}
