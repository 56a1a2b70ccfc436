using System.Globalization;
using System.Numerics;
using System.Text.Json;

namespace Spectral.Training.Chat.Values;

/// <summary>Reads JSON as Python's <c>json.loads</c> does: integers of any size, floats, dicts in file order.</summary>
internal static class JsonValues
{
    /// <summary>Returns the value of an element.</summary>
    public static object? Read(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                return element.GetString();
            case JsonValueKind.Number:
                return Number(element);
            case JsonValueKind.True:
                return true;
            case JsonValueKind.False:
                return false;
            case JsonValueKind.Array:
                return new List<object?>(element.EnumerateArray().Select(Read));
            case JsonValueKind.Object:
                Mapping mapping = new();
                foreach (JsonProperty property in element.EnumerateObject())
                    mapping[property.Name] = Read(property.Value);
                return mapping;
            default:
                return null;
        }
    }

    private static object Number(JsonElement element)
    {
        if (element.TryGetInt64(out long number))
            return number;
        string text = element.GetRawText();
        return text.AsSpan().IndexOfAny(".eE") < 0
            ? BigInteger.Parse(text, CultureInfo.InvariantCulture)
            : double.Parse(text, CultureInfo.InvariantCulture);
    }
}
