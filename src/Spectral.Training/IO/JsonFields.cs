using System.Text.Json;

namespace Spectral.Training.IO;

/// <summary>
/// Typed access to one JSON object of an untrusted file. A wrong type or a value out of range throws an
/// <see cref="InputException"/> naming file, key, what was found and what was expected. A key that is null counts as
/// absent.
/// </summary>
internal readonly struct JsonFields
{
    private readonly string _file;
    private readonly string _path;

    public JsonFields(JsonElement element, string file, string path = "")
    {
        _file = file;
        _path = path;
        Element = element;
        if (element.ValueKind != JsonValueKind.Object)
        {
            throw new InputException(
                $"{file}: {(path == "" ? "the top level" : path)} is {Describe(element)}, expected an object"
            );
        }
    }

    public JsonElement Element { get; }

    public bool Has(string key) => Find(key) is not null;

    /// <summary>
    /// Returns whether the key exists, even with the value null. transformers uses a default only if it does not.
    /// </summary>
    public bool IsGiven(string key) => Element.TryGetProperty(key, out _);

    /// <summary>Returns the value of a key; null if it is absent or null.</summary>
    public JsonElement? Find(string key) =>
        Element.TryGetProperty(key, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    public int RequiredInteger(string key, long minimum, int maximum) =>
        Integer(key, minimum, maximum) ?? throw Missing(key, $"a whole number from {minimum} to {maximum}");

    public int? Integer(string key, long minimum, int maximum)
    {
        if (Find(key) is not { } value)
            return null;
        if (
            value.ValueKind == JsonValueKind.Number
            && value.TryGetInt64(out long number)
            && number >= minimum
            && number <= maximum
        )
        {
            return (int)number;
        }

        throw Wrong(key, value, $"a whole number from {minimum} to {maximum}");
    }

    public double? Number(string key, double minimum, double maximum)
    {
        if (Find(key) is not { } value)
            return null;
        if (
            value.ValueKind == JsonValueKind.Number
            && value.TryGetDouble(out double number)
            && number >= minimum
            && number <= maximum
        )
        {
            return number;
        }

        throw Wrong(key, value, FormattableString.Invariant($"a number from {minimum:R} to {maximum:R}"));
    }

    public bool? Boolean(string key) =>
        Find(key) switch
        {
            null => null,
            { ValueKind: JsonValueKind.True } => true,
            { ValueKind: JsonValueKind.False } => false,
            { } value => throw Wrong(key, value, "true or false"),
        };

    public string? Text(string key) =>
        Find(key) switch
        {
            null => null,
            { ValueKind: JsonValueKind.String } value => value.GetString(),
            { } value => throw Wrong(key, value, "a string"),
        };

    public string RequiredText(string key) => Text(key) ?? throw Missing(key, "a string");

    public JsonFields? Object(string key) => Find(key) is { } value ? new JsonFields(value, _file, PathOf(key)) : null;

    public JsonElement? Array(string key) =>
        Find(key) switch
        {
            null => null,
            { ValueKind: JsonValueKind.Array } value => value,
            { } value => throw Wrong(key, value, "an array"),
        };

    /// <summary>Returns the objects of an array, each with its index in its path.</summary>
    public IEnumerable<JsonFields> Objects(string key)
    {
        if (Array(key) is not { } array)
            yield break;
        int index = 0;
        foreach (JsonElement item in array.EnumerateArray())
            yield return new JsonFields(item, _file, $"{PathOf(key)}[{index++}]");
    }

    /// <summary>Returns the strings of an array; null if the key is absent.</summary>
    public IReadOnlyList<string>? Texts(string key)
    {
        if (Array(key) is not { } array)
            return null;
        List<string> texts = [];
        foreach (JsonElement item in array.EnumerateArray())
        {
            texts.Add(
                item.ValueKind == JsonValueKind.String
                    ? item.GetString()!
                    : throw Wrong($"{key}[{texts.Count}]", item, "a string")
            );
        }

        return texts;
    }

    /// <summary>Returns whole numbers from one number or from an array of them; null if the key is absent.</summary>
    public IReadOnlyList<int>? IntegerOrList(string key, int minimum, int maximum)
    {
        if (Find(key) is not { } value)
            return null;
        string wanted = $"a whole number from {minimum} to {maximum}, or a list of them";
        List<int> numbers = [];
        foreach (
            JsonElement item in value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value]
        )
        {
            if (
                item.ValueKind != JsonValueKind.Number
                || !item.TryGetInt32(out int number)
                || number < minimum
                || number > maximum
            )
            {
                throw Wrong(key, item, wanted);
            }

            numbers.Add(number);
        }
        return numbers;
    }

    public InputException Wrong(string key, string wanted) =>
        Find(key) is { } value ? Wrong(key, value, wanted) : Missing(key, wanted);

    /// <summary>Returns typed access to an object under a key, or in an array there.</summary>
    public JsonFields Nested(string key, JsonElement value) => new(value, _file, PathOf(key));

    public InputException Wrong(string key, JsonElement value, string wanted) =>
        new($"{_file}: {PathOf(key)} is {Describe(value)}, expected {wanted}");

    private InputException Missing(string key, string wanted) =>
        new($"{_file}: {PathOf(key)} is missing, expected {wanted}");

    private string PathOf(string key) => _path == "" ? InputText.Line(key) : $"{_path}.{InputText.Line(key)}";

    private static string Describe(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => $"an array of {value.GetArrayLength()}",
            JsonValueKind.String => $"the string {InputText.Quote(value.GetString()!)}",
            JsonValueKind.Null => "null",
            JsonValueKind.Undefined => "missing",
            _ => InputText.Quote(value.GetRawText()).Trim('\''),
        };
}
