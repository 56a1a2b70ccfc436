using System.Text.Json;
using System.Text.Unicode;

namespace Spectral.Training.IO;

/// <summary>
/// The parsed and checked header of a safetensors file. Nothing in it is trusted before it is checked against the size
/// of the file. Memory is allocated only for bytes that the file really has, never for sizes that it claims.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The largest header that the format allows, in bytes.</summary>
    public const int MaximumLength = 100_000_000;

    private readonly string _file;
    private bool _metadataSeen;

    private SafetensorsHeader(string file) => _file = file;

    /// <summary>The place of one tensor: bytes Begin to End of the data.</summary>
    public readonly record struct Entry(StoredType Type, long[] Shape, long Begin, long End);

    public Dictionary<string, Entry> Entries { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>Reads the length of the header from the first 8 bytes of a file.</summary>
    public static int Length(ReadOnlySpan<byte> start, long fileBytes, string file)
    {
        if (fileBytes < 8)
        {
            throw new SafetensorsException(
                SafetensorsRule.FileTooShort,
                $"{file}: {fileBytes} bytes, expected at least 8"
            );
        }

        ulong length = System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(start);
        if (length > MaximumLength)
        {
            throw new SafetensorsException(
                SafetensorsRule.HeaderTooLarge,
                $"{file}: header of {length} bytes, expected at most {MaximumLength}"
            );
        }

        if ((long)length > fileBytes - 8)
        {
            throw new SafetensorsException(
                SafetensorsRule.HeaderBeyondFile,
                $"{file}: header of {length} bytes in a file of {fileBytes}, expected at most "
                    + $"{fileBytes - 8} (is the file truncated?)"
            );
        }

        return (int)length;
    }

    /// <summary>
    /// Parses the header's bytes and checks every rule against <paramref name="dataBytes"/>, the size of the data after
    /// it.
    /// </summary>
    public static SafetensorsHeader Parse(ReadOnlySpan<byte> json, long dataBytes, string file)
    {
        SafetensorsHeader header = new(file);
        if (json.Length == 0 || json[0] != '{')
            throw header.Error(SafetensorsRule.HeaderNotObject, "header does not begin with '{'");
        if (!Utf8.IsValid(json))
        {
            throw header.Error(
                SafetensorsRule.HeaderNotUtf8,
                $"header is not UTF-8 at byte {8 + StrictJson.FirstInvalidByte(json)}"
            );
        }

        try
        {
            header.ReadObject(json);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // InvalidOperationException means that a key or value contains half a surrogate pair.
            string place = e is JsonException { BytePositionInLine: { } position } ? $" near byte {8 + position}" : "";
            throw header.Error(SafetensorsRule.HeaderNotJson, $"header is not one JSON object{place}");
        }
        header.CheckTiling(dataBytes);
        return header;
    }

    // The grammar has only three levels and is read token by token, so that nesting cannot grow: the first unexpected
    // token ends parsing.
    private void ReadObject(ReadOnlySpan<byte> json)
    {
        Utf8JsonReader reader = new(json);
        reader.Read();
        while (Next(ref reader) == JsonTokenType.PropertyName)
        {
            string name = reader.GetString()!;
            if (name == "__metadata__")
                ReadMetadata(ref reader);
            else if (!Entries.TryAdd(name, ReadEntry(ref reader, name)))
                throw Error(SafetensorsRule.DuplicateKey, "is given twice", name);
        }
        if (reader.Read())
            throw new JsonException();
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (_metadataSeen)
            throw Error(SafetensorsRule.DuplicateKey, "__metadata__ is given twice");
        _metadataSeen = true;
        if (Next(ref reader) != JsonTokenType.StartObject)
            throw Error(SafetensorsRule.BadMetadata, "__metadata__ is not an object");
        while (Next(ref reader) == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            if (Next(ref reader) != JsonTokenType.String)
                throw Error(SafetensorsRule.BadMetadata, $"__metadata__ {InputText.Quote(key)} is not a string");
            if (!Metadata.TryAdd(key, reader.GetString()!))
                throw Error(SafetensorsRule.DuplicateKey, $"__metadata__ {InputText.Quote(key)} is given twice");
        }
    }

    private Entry ReadEntry(ref Utf8JsonReader reader, string name)
    {
        StoredType? type = null;
        long[]? shape = null;
        long[]? offsets = null;
        if (Next(ref reader) != JsonTokenType.StartObject)
            throw Error(SafetensorsRule.BadEntry, "is not an object", name);
        while (Next(ref reader) == JsonTokenType.PropertyName)
        {
            string key = reader.GetString()!;
            if (
                key switch
                {
                    "dtype" => type.HasValue,
                    "shape" => shape is not null,
                    "data_offsets" => offsets is not null,
                    _ => false,
                }
            )
            {
                throw Error(SafetensorsRule.DuplicateKey, $"has {key} twice", name);
            }

            switch (key)
            {
                case "dtype":
                    type = ReadType(ref reader, name);
                    break;
                case "shape":
                    shape = ReadNumbers(ref reader, name, key, SafetensorsRule.BadShape);
                    break;
                case "data_offsets":
                    offsets = ReadNumbers(ref reader, name, key, SafetensorsRule.BadOffsets);
                    break;
                default:
                    throw Error(
                        SafetensorsRule.BadEntry,
                        $"has the key {InputText.Quote(key)}, expected dtype, shape and data_offsets",
                        name
                    );
            }
        }
        if (type is null || shape is null || offsets is null)
            throw Error(SafetensorsRule.BadEntry, "lacks one of dtype, shape and data_offsets", name);
        if (offsets.Length != 2)
            throw Error(SafetensorsRule.BadEntry, $"has {offsets.Length} data_offsets, expected 2", name);
        CheckSize(name, type.Value, shape, offsets[0], offsets[1]);
        return new Entry(type.Value, shape, offsets[0], offsets[1]);
    }

    private StoredType ReadType(ref Utf8JsonReader reader, string name)
    {
        if (Next(ref reader) != JsonTokenType.String)
            throw Error(SafetensorsRule.BadEntry, "has a dtype that is not a string", name);
        string text = reader.GetString()!;
        return StoredTypes.TryParse(text, out StoredType type)
            ? type
            : throw Error(
                SafetensorsRule.UnknownType,
                $"has the unknown dtype {InputText.Quote(text)}, expected one like F32, F16 or " + "BF16",
                name
            );
    }

    private long[] ReadNumbers(ref Utf8JsonReader reader, string name, string key, SafetensorsRule rule)
    {
        if (Next(ref reader) != JsonTokenType.StartArray)
            throw Error(SafetensorsRule.BadEntry, $"has a {key} that is not an array", name);
        List<long> numbers = [];
        while (Next(ref reader) != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out long number) || number < 0)
                throw Error(rule, $"has something in {key} that is no whole number from 0 to 2^63-1", name);
            numbers.Add(number);
        }
        return [.. numbers];
    }

    private void CheckSize(string name, StoredType type, long[] shape, long begin, long end)
    {
        if (end < begin)
            throw Error(SafetensorsRule.BadOffsets, $"ends at {end}, before its beginning at {begin}", name);
        long bits = type.Bits();
        foreach (long dimension in shape)
        {
            if (Math.BigMul(bits, dimension, out bits) != 0 || bits < 0)
            {
                throw Error(
                    SafetensorsRule.SizeOverflow,
                    $"of shape {InputText.Shape(shape)} is larger than any file",
                    name
                );
            }
        }
        if (bits % 8 != 0)
        {
            throw Error(
                SafetensorsRule.PartialByte,
                $"of type {type.HeaderName()} has {bits} bits, expected a multiple of 8",
                name
            );
        }

        if (end - begin != bits / 8)
        {
            throw Error(
                SafetensorsRule.SizeMismatch,
                $"has {end - begin} bytes, expected {bits / 8} for {type.HeaderName()} {InputText.Shape(shape)}",
                name
            );
        }
    }

    // Tensors sorted by place have to cover the data exactly. An empty tensor may lie between two others.
    private void CheckTiling(long dataBytes)
    {
        long covered = 0;
        foreach ((string name, Entry entry) in Entries.OrderBy(pair => pair.Value.Begin).ThenBy(pair => pair.Value.End))
        {
            if (entry.End > dataBytes)
            {
                throw Error(
                    SafetensorsRule.BeyondFile,
                    $"ends at byte {entry.End} of the data, expected at most {dataBytes} (is the file truncated?)",
                    name
                );
            }

            if (entry.Begin < covered)
            {
                throw Error(
                    SafetensorsRule.Overlap,
                    $"begins at {entry.Begin}, inside another; expected {covered}",
                    name
                );
            }

            if (entry.Begin > covered)
            {
                throw Error(
                    SafetensorsRule.Hole,
                    $"begins at {entry.Begin} and leaves a hole, expected {covered}",
                    name
                );
            }

            covered = entry.End;
        }
        if (covered != dataBytes)
        {
            throw Error(
                SafetensorsRule.TrailingData,
                $"{dataBytes - covered} bytes after the last tensor belong to none, expected 0"
            );
        }
    }

    private static JsonTokenType Next(ref Utf8JsonReader reader) =>
        reader.Read() ? reader.TokenType : throw new JsonException();

    private SafetensorsException Error(SafetensorsRule rule, string text, string? tensor = null) =>
        new(rule, tensor is null ? $"{_file}: {text}" : $"{_file}: tensor {InputText.Quote(tensor)} {text}");
}
