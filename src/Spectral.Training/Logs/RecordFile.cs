using System.Buffers.Binary;
using System.Numerics;

namespace Spectral.Training.Logs;

/// <summary>
/// Writes a file of records as TensorFlow frames them: the length as 64 bits, its checksum, the bytes, their checksum,
/// all little-endian. A checksum is the CRC-32C, rotated right by 15 bits and raised by a constant.
/// </summary>
/// <param name="path">The file, which must not exist.</param>
internal sealed class RecordFile(string path) : IDisposable
{
    private const uint Raise = 0xa282ead8;

    private readonly FileStream _file = new(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read);

    /// <summary>Appends a record and flushes it to the file.</summary>
    public void Write(ReadOnlySpan<byte> record)
    {
        Span<byte> head = stackalloc byte[12];
        BinaryPrimitives.WriteInt64LittleEndian(head, record.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], Masked(head[..8]));
        Span<byte> tail = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(tail, Masked(record));
        _file.Write(head);
        _file.Write(record);
        _file.Write(tail);
        _file.Flush();
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>Returns the checksum of bytes as the frame holds it.</summary>
    internal static uint Masked(ReadOnlySpan<byte> bytes)
    {
        uint crc = uint.MaxValue;
        foreach (byte value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        return BitOperations.RotateRight(~crc, 15) + Raise;
    }
}
