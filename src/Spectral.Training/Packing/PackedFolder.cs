using System.Text.Json;
using Spectral.Generators;
using Spectral.Training.IO;

namespace Spectral.Training.Packing;

/// <summary>
/// The packed tensors of a folder: <c>packed_model.safetensors</c> with their parts and with tensors that are stored as
/// they are, and <c>compression.json</c>, which says how the parts are to be read. The folder may be hostile: sizes are
/// checked when it is opened, and values when they are unpacked.
/// </summary>
internal sealed partial class PackedFolder : IDisposable
{
    /// <summary>The name of the file that describes the packed tensors.</summary>
    public const string DescriptionFile = "compression.json";

    private const string WeightsFile = "packed_model.safetensors";
    private const string VersionKey = "format_version";
    private const string MethodKey = "method";
    private const string SettingsKey = "settings";
    private const string DigestsKey = "base_tensor_sha256";
    private const string TensorsKey = "tensors";
    private const string NameKey = "name";
    private const string CodecKey = "codec";
    private const string ShapeKey = "shape";
    private const int Version = 1;
    private const int MostDimensions = 8;
    private const long MaximumBytes = 64 << 20;

    private static readonly PackedCodec[] Codecs = BuiltIn();

    private PackedFolder(string directory)
    {
        string path = FolderFile.At(directory, DescriptionFile);
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        JsonFields fields = new(document.RootElement, path);
        if (fields.RequiredInteger(VersionKey, 1, int.MaxValue) is not Version and var other)
        {
            throw new InputException(
                $"{path}: {VersionKey} {other}, expected {Version}; a newer version of spectral may read it"
            );
        }

        File = SafetensorsFile.Open(FolderFile.At(directory, WeightsFile));
        try
        {
            Description = new PackedDescription(
                fields.RequiredText(MethodKey),
                Values(fields, SettingsKey, value => value.GetDouble(), JsonValueKind.Number),
                Values(fields, DigestsKey, value => value.GetString()!, JsonValueKind.String)
            );
            HashSet<string> parts = [];
            List<UnpackedTensor> packed = [];
            foreach (JsonFields tensor in fields.Objects(TensorsKey))
                packed.Add(Read(tensor, parts));
            Packed = packed;
            Plain = [.. File.Tensors.Values.Where(tensor => !parts.Contains(tensor.Name))];
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The file of the weights.</summary>
    public SafetensorsFile File { get; }

    /// <summary>What the folder says of its origin.</summary>
    public PackedDescription Description { get; }

    /// <summary>The tensors that are packed, unpacked when they are read.</summary>
    public IReadOnlyList<UnpackedTensor> Packed { get; }

    /// <summary>The tensors that are stored as they are.</summary>
    public IReadOnlyList<SafetensorsTensor> Plain { get; }

    /// <summary>Returns whether a folder has packed tensors.</summary>
    public static bool IsOne(string directory) => System.IO.File.Exists(Path.Combine(directory, DescriptionFile));

    /// <summary>Opens the folder. The weights stay mapped until disposal.</summary>
    /// <exception cref="InputException">A file is missing or malformed, or the two do not fit each other.</exception>
    public static PackedFolder Open(string directory) => new(directory);

    /// <summary>Writes the two files into an existing folder.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="description">The origin of the tensors.</param>
    /// <param name="packed">The packed tensors.</param>
    /// <param name="plain">Tensors to store as they are.</param>
    /// <param name="metadata">The metadata of the weights' file.</param>
    /// <exception cref="InputException">A value is not finite, or too large for its type.</exception>
    public static void Write(
        string directory,
        PackedDescription description,
        IReadOnlyList<PackedTensor> packed,
        IReadOnlyList<TensorToWrite> plain,
        IReadOnlyDictionary<string, string> metadata
    )
    {
        SafetensorsWriter.Write(
            Path.Combine(directory, WeightsFile),
            [.. packed.SelectMany(tensor => tensor.Parts), .. plain],
            metadata
        );
        AtomicFile.Write(
            Path.Combine(directory, DescriptionFile),
            stream => Write(new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true }), description, packed)
        );
    }

    /// <inheritdoc/>
    public void Dispose() => File.Dispose();

    [NewOfEachSubclass]
    private static partial PackedCodec[] BuiltIn();

    private static void Write(Utf8JsonWriter json, PackedDescription description, IReadOnlyList<PackedTensor> packed)
    {
        using (json)
        {
            json.WriteStartObject();
            json.WriteNumber(VersionKey, Version);
            json.WriteString(MethodKey, description.Method);
            WriteEntries(json, SettingsKey, description.Settings, json.WriteNumber);
            WriteEntries(json, DigestsKey, description.BaseTensorSha256, json.WriteString);
            json.WriteStartArray(TensorsKey);
            foreach (PackedTensor tensor in packed)
            {
                json.WriteStartObject();
                json.WriteString(NameKey, tensor.Name);
                json.WriteString(CodecKey, tensor.Codec);
                json.WriteStartArray(ShapeKey);
                foreach (long dimension in tensor.Shape)
                    json.WriteNumberValue(dimension);
                json.WriteEndArray();
                tensor.Describe(json);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
    }

    private static void WriteEntries<T>(
        Utf8JsonWriter json,
        string key,
        IReadOnlyDictionary<string, T> entries,
        Action<string, T> write
    )
    {
        json.WriteStartObject(key);
        foreach ((string name, T value) in entries.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            write(name, value);
        json.WriteEndObject();
    }

    private static Dictionary<string, T> Values<T>(
        JsonFields fields,
        string key,
        Func<JsonElement, T> read,
        JsonValueKind kind
    ) =>
        fields.Object(key) is { } values
            ? values
                .Element.EnumerateObject()
                .ToDictionary(
                    entry => entry.Name,
                    entry =>
                        entry.Value.ValueKind == kind
                            ? read(entry.Value)
                            : throw values.Wrong(
                                entry.Name,
                                entry.Value,
                                kind == JsonValueKind.Number ? "a number" : "a string"
                            )
                )
            : [];

    private UnpackedTensor Read(JsonFields fields, HashSet<string> taken)
    {
        string name = fields.RequiredText(NameKey);
        string codec = fields.RequiredText(CodecKey);
        long[] shape =
        [
            .. (
                fields.IntegerOrList(ShapeKey, 1, int.MaxValue)
                ?? throw fields.Wrong(ShapeKey, "an array of whole numbers")
            ).Select(dimension => (long)dimension),
        ];
        PackedCodec reader =
            Array.Find(Codecs, known => known.Name == codec)
            ?? throw fields.Wrong(CodecKey, string.Join(" or ", Codecs.Select(known => known.Name)));
        PackedParts parts = new(File, name, taken);
        if (shape.Length > MostDimensions || !Fits(shape))
            throw parts.Wrong($"is {InputText.Shape(shape)}, expected at most {Array.MaxLength} elements");
        if (File.Tensors.ContainsKey(name) || !taken.Add(name))
            throw parts.Wrong("is there twice");
        Func<float[]> unpack = reader.Read(fields, shape, parts);
        return new UnpackedTensor(
            name,
            shape,
            () =>
            {
                float[] values = unpack();
                if (FiniteValues.FirstNonFinite(values) is >= 0 and var at)
                {
                    throw parts.Wrong(
                        $"unpacks to {FiniteValues.Describe(values[at], at, shape)}, expected finite numbers"
                    );
                }
                return values;
            }
        );
    }

    private static bool Fits(long[] shape)
    {
        long count = 1;
        foreach (long dimension in shape)
        {
            count *= dimension;
            if (count > Array.MaxLength)
                return false;
        }
        return true;
    }
}
