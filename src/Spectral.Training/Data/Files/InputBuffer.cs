namespace Spectral.Training.Data.Files;

/// <summary>Reads a stream through a buffer that grows to what its reader keeps of it.</summary>
internal sealed class InputBuffer(Stream stream)
{
    private byte[] _bytes = new byte[1 << 16];
    private int _start;
    private int _end;

    /// <summary>What was read and not yet skipped.</summary>
    public ReadOnlySpan<byte> Ahead => _bytes.AsSpan(_start, _end - _start);

    /// <summary>Returns the first bytes of what is ahead, valid until the next <see cref="Fill"/>.</summary>
    public ReadOnlyMemory<byte> First(int count) => _bytes.AsMemory(_start, count);

    /// <summary>Leaves the first bytes behind.</summary>
    public void Skip(int count) => _start += count;

    /// <summary>Reads more. Returns false at the end of the stream.</summary>
    public bool Fill()
    {
        byte[] target = _start == 0 && _end == _bytes.Length ? new byte[2 * _bytes.Length] : _bytes;
        _bytes.AsSpan(_start, _end - _start).CopyTo(target);
        (_bytes, _start, _end) = (target, 0, _end - _start);
        int read = stream.Read(_bytes, _end, _bytes.Length - _end);
        _end += read;
        return read > 0;
    }
}
