using System.Buffers.Binary;
using System.Text;

namespace Spectral.Training.Tests.Logs;

/// <summary>
/// Reads event files from their published description (TensorFlow's record format, event.proto and summary.proto):
/// checks every frame with a checksum of its own, bit by bit, and decodes the fields by hand.
/// </summary>
internal static class EventFileReader
{
    /// <summary>
    /// An event: its time and step, and what it has of a version, a session's status and numbers by tag.
    /// </summary>
    internal sealed record Event(
        double Time,
        long Step,
        string? Version,
        long? Session,
        IReadOnlyDictionary<string, float> Values
    );

    /// <summary>The CRC-32C by polynomial division, one bit at a time.</summary>
    public static uint Crc(ReadOnlySpan<byte> bytes)
    {
        uint remainder = 0xffffffff;
        foreach (byte value in bytes)
        {
            remainder ^= value;
            for (int bit = 0; bit < 8; bit++)
                remainder = (remainder & 1) != 0 ? (remainder >> 1) ^ 0x82f63b78 : remainder >> 1;
        }

        return remainder ^ 0xffffffff;
    }

    /// <summary>The masked checksum of a record: rotated right by 15, plus a constant.</summary>
    public static uint Masked(ReadOnlySpan<byte> bytes)
    {
        uint crc = Crc(bytes);
        return unchecked(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
    }

    /// <summary>Returns the events of a file, whose frames must be intact.</summary>
    public static List<Event> Read(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        var events = new List<Event>();
        for (int at = 0; at < file.Length; )
        {
            int length = checked((int)BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at)));
            Assert.That(
                BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)),
                Is.EqualTo(Masked(file.AsSpan(at, 8))),
                $"checksum of the length at {at}"
            );
            byte[] record = file[(at + 12)..(at + 12 + length)];
            Assert.That(
                BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)),
                Is.EqualTo(Masked(record)),
                $"checksum of the record at {at}"
            );
            events.Add(Decode(record));
            at += 16 + length;
        }

        return events;
    }

    private static Event Decode(byte[] record)
    {
        double time = double.NaN;
        long step = 0;
        string? version = null;
        long? session = null;
        var values = new Dictionary<string, float>();
        foreach ((int field, byte[] bytes, ulong number) in Fields(record))
        {
            switch (field)
            {
                case 1:
                    time = BitConverter.UInt64BitsToDouble(number);
                    break;
                case 2:
                    step = (long)number;
                    break;
                case 3:
                    version = Encoding.UTF8.GetString(bytes);
                    break;
                case 5:
                    foreach ((int summaryField, byte[] value, ulong _) in Fields(bytes))
                    {
                        Assert.That(summaryField, Is.EqualTo(1), "a value of a summary");
                        var parts = Fields(value).ToDictionary(part => part.Field);
                        values.Add(
                            Encoding.UTF8.GetString(parts[1].Bytes),
                            BitConverter.UInt32BitsToSingle((uint)parts[2].Number)
                        );
                    }

                    break;
                case 7:
                    session = (long)Fields(bytes).Single(part => part.Field == 1).Number;
                    break;
                default:
                    Assert.Fail($"field {field} of an event");
                    break;
            }
        }

        return new Event(time, step, version, session, values);
    }

    private static List<(int Field, byte[] Bytes, ulong Number)> Fields(byte[] message)
    {
        var fields = new List<(int, byte[], ulong)>();
        int at = 0;
        while (at < message.Length)
        {
            ulong tag = Varint();
            int field = (int)(tag >> 3);
            switch (tag & 7)
            {
                case 0:
                    fields.Add((field, [], Varint()));
                    break;
                case 1:
                    fields.Add((field, [], BinaryPrimitives.ReadUInt64LittleEndian(message.AsSpan(at))));
                    at += 8;
                    break;
                case 2:
                    int length = (int)Varint();
                    fields.Add((field, message[at..(at + length)], 0));
                    at += length;
                    break;
                case 5:
                    fields.Add((field, [], BinaryPrimitives.ReadUInt32LittleEndian(message.AsSpan(at))));
                    at += 4;
                    break;
                default:
                    Assert.Fail($"wire type {tag & 7}");
                    break;
            }
        }

        return fields;

        ulong Varint()
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte part = message[at++];
                value |= (ulong)(part & 0x7f) << shift;
                if (part < 0x80)
                    return value;
            }
        }
    }
}
