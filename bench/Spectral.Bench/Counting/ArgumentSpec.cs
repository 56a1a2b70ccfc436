using System.Globalization;

namespace Spectral.Bench.Counting;

/// <summary>One argument of a kernel as the command line gives it: a number, or a buffer and what fills it.</summary>
internal sealed record ArgumentSpec
{
    public const string Forms = "buf:TYPE:COUNT:zeros|ones|iota or TYPE:VALUE";

    private ArgumentSpec(string text, ElementType type, byte[] value, long count, string fill)
    {
        Text = text;
        Type = type;
        Value = value;
        Count = count;
        Fill = fill;
    }

    /// <summary>As it was written.</summary>
    public string Text { get; }

    public ElementType Type { get; }

    /// <summary>The number, or the element that <c>zeros</c> and <c>ones</c> repeat.</summary>
    public byte[] Value { get; }

    /// <summary>Elements of a buffer; 0 for a number.</summary>
    public long Count { get; }

    /// <summary>What a buffer holds: <c>zeros</c>, <c>ones</c> or <c>iota</c>, which counts from 0.</summary>
    public string Fill { get; }

    public bool IsBuffer => Count > 0;

    /// <summary>Size of the buffer.</summary>
    public long BufferBytes => Count * Type.Bytes;

    /// <summary>Types of PTX parameters that take this argument.</summary>
    public IReadOnlyList<string> ParameterTypes => IsBuffer ? ElementType.AddressTypes : Type.ParameterTypes;

    /// <summary>Reads a SPEC.</summary>
    /// <exception cref="UsageException">It has none of the forms, or its number does not fit its type.</exception>
    public static ArgumentSpec Parse(string text)
    {
        string[] parts = text.Split(':');
        bool isBuffer = parts[0] == "buf";
        if (parts.Length != (isBuffer ? 4 : 2))
            throw new UsageException($"--arg \"{text}\": expected {Forms}");
        string typeName = parts[isBuffer ? 1 : 0];
        if (!ElementType.All.TryGetValue(typeName, out ElementType? type))
        {
            throw new UsageException(
                $"--arg \"{text}\": type \"{typeName}\", expected one of {string.Join(", ", ElementType.All.Keys)}"
            );
        }
        byte[] value = new byte[type.Bytes];
        if (!isBuffer)
        {
            return type.Parse(parts[1], value)
                ? new ArgumentSpec(text, type, value, 0, "")
                : throw new UsageException($"--arg \"{text}\": \"{parts[1]}\" is no value of {type.Name}");
        }
        bool isCount = long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out long count);
        if (!isCount || count == 0 || count > long.MaxValue / 8)
            throw new UsageException($"--arg \"{text}\": count \"{parts[2]}\", expected a number from 1");
        if (parts[3] is not ("zeros" or "ones" or "iota"))
            throw new UsageException($"--arg \"{text}\": \"{parts[3]}\", expected zeros, ones or iota");
        type.FromIndex(parts[3] == "ones" ? 1 : 0, value);
        return new ArgumentSpec(text, type, value, count, parts[3]);
    }

    /// <summary>Writes elements of the buffer from <paramref name="first"/> on, as many as there is room for.</summary>
    public void Write(long first, Span<byte> destination)
    {
        for (int at = 0; at < destination.Length; at += Type.Bytes)
        {
            Span<byte> element = destination.Slice(at, Type.Bytes);
            if (Fill == "iota")
                Type.FromIndex(first + at / Type.Bytes, element);
            else
                Value.CopyTo(element);
        }
    }
}
