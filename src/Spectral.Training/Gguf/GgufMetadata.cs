using System.Text;

namespace Spectral.Training.Gguf;

/// <summary>The key-value pairs at the beginning of a GGUF file, in the order in which they were added.</summary>
internal sealed class GgufMetadata
{
    private const uint Array = 9;

    private readonly List<Action<BinaryWriter>> _entries = [];
    private readonly HashSet<string> _keys = new(StringComparer.Ordinal);

    /// <summary>The number of pairs.</summary>
    public int Count => _entries.Count;

    /// <summary>Adds a text, stored as UTF-8.</summary>
    public void Add(string key, string value) => Add(key, 8, writer => Write(writer, value));

    /// <summary>Adds an unsigned 32-bit integer, the type of sizes and ids.</summary>
    /// <exception cref="OverflowException">The value is negative.</exception>
    public void Add(string key, int value)
    {
        uint stored = checked((uint)value);
        Add(key, 4, writer => writer.Write(stored));
    }

    /// <summary>Adds a number, rounded to F32.</summary>
    public void Add(string key, double value) => Add(key, 6, writer => writer.Write((float)value));

    /// <summary>Adds a pair whose value is true or false.</summary>
    public void Add(string key, bool value) => Add(key, 7, writer => writer.Write(value));

    /// <summary>Adds a list of texts.</summary>
    public void Add(string key, IReadOnlyList<string> values) => Add(key, values, 8, Write);

    /// <summary>Adds a list of signed 32-bit integers.</summary>
    public void Add(string key, IReadOnlyList<int> values) =>
        Add(key, values, 5, (writer, value) => writer.Write(value));

    /// <summary>Adds a list of F32 numbers.</summary>
    public void Add(string key, IReadOnlyList<float> values) =>
        Add(key, values, 6, (writer, value) => writer.Write(value));

    /// <summary>Writes all pairs in the order in which they were added.</summary>
    public void WriteTo(BinaryWriter writer)
    {
        foreach (Action<BinaryWriter> write in _entries)
            write(writer);
    }

    /// <summary>Writes a text as GGUF has it: its length in bytes, then its UTF-8 bytes.</summary>
    public static void Write(BinaryWriter writer, string text)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)utf8.Length);
        writer.Write(utf8);
    }

    private void Add<T>(string key, IReadOnlyList<T> values, uint type, Action<BinaryWriter, T> write) =>
        Add(
            key,
            Array,
            writer =>
            {
                writer.Write(type);
                writer.Write((ulong)values.Count);
                foreach (T value in values)
                    write(writer, value);
            }
        );

    private void Add(string key, uint type, Action<BinaryWriter> write)
    {
        if (!_keys.Add(key))
            throw new ArgumentException($"the key {key} is given twice", nameof(key));
        _entries.Add(writer =>
        {
            Write(writer, key);
            writer.Write(type);
            write(writer);
        });
    }
}
