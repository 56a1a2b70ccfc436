using System.IO.MemoryMappedFiles;

namespace Spectral.Training.IO;

/// <summary>
/// A memory-mapped safetensors file. Opening reads only the header; tensors are paged in as they are read. The file may
/// be hostile: every rule of the format is checked before anything in it is used. It must not be shortened while it is
/// open.
/// </summary>
public sealed unsafe class SafetensorsFile : IDisposable
{
    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly byte* _start;
    private readonly long _length;
    private bool _disposed;

    private SafetensorsFile(string path, FileStream stream)
    {
        Path = path;
        _length = stream.Length;
        Span<byte> prefix = stackalloc byte[8];
        int headerLength = SafetensorsHeader.Length(
            prefix[..stream.ReadAtLeast(prefix, 8, throwOnEndOfStream: false)],
            _length,
            path
        );
        _map = MemoryMappedFile.CreateFromFile(
            stream,
            null,
            0,
            MemoryMappedFileAccess.Read,
            HandleInheritability.None,
            leaveOpen: true
        );
        _view = _map.CreateViewAccessor(0, _length, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        try
        {
            _start += _view.PointerOffset;
            long dataStart = 8 + headerLength;
            var header = SafetensorsHeader.Parse(
                new ReadOnlySpan<byte>(_start + 8, headerLength),
                _length - dataStart,
                path
            );
            Metadata = header.Metadata;
            Tensors = header.Entries.ToDictionary(
                pair => pair.Key,
                pair => new SafetensorsTensor(
                    this,
                    pair.Key,
                    pair.Value.Type,
                    pair.Value.Shape,
                    dataStart + pair.Value.Begin,
                    pair.Value.End - pair.Value.Begin
                ),
                StringComparer.Ordinal
            );
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The path by which the file was opened.</summary>
    public string Path { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsTensor> Tensors { get; }

    /// <summary>The metadata in the header (<c>__metadata__</c>); empty if there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Maps a file and checks its header.</summary>
    /// <exception cref="SafetensorsException">The file breaks a rule of the format.</exception>
    /// <exception cref="InputException">There is no such file, or it cannot be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        try
        {
            // A pipe or device may block its reader forever, and has length 0.
            if (!System.IO.Directory.Exists(path) && new FileInfo(path).Length == 0)
                throw new SafetensorsException(SafetensorsRule.FileTooShort, $"{path}: 0 bytes, expected at least 8");
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
            return new SafetensorsFile(path, stream);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The tensor of a name.</summary>
    /// <exception cref="InputException">The file has no tensor of this name.</exception>
    public SafetensorsTensor this[string name] =>
        Tensors.TryGetValue(name, out SafetensorsTensor? tensor)
            ? tensor
            : throw new InputException(
                $"{Path}: no tensor {InputText.Quote(name)} among the {Tensors.Count} in the file"
            );

    /// <summary>Unmaps the file. Spans taken from it become invalid.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _view.SafeMemoryMappedViewHandle.ReleasePointer();
        _view.Dispose();
        _map.Dispose();
    }

    internal ReadOnlySpan<byte> Span(long offset, int count)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        // The offsets of the header are already checked. This is a second guard, because a mistake there would expose
        // other memory of the process.
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, _length - count);
        return new ReadOnlySpan<byte>(_start + offset, count);
    }
}
