using System.Text.Json;

namespace Spectral.Training.Tests.IO.Fuzzing;

/// <summary>
/// Where the values, keys and members of a JSON text lie, so that a damage can be put in its place and the rest stay
/// well formed.
/// </summary>
internal sealed class JsonSpans
{
    private JsonSpans() { }

    /// <summary>
    /// Start and length of each value, by depth: a long vocabulary at one depth shall not draw all the damage.
    /// </summary>
    public List<List<(int Start, int Length)>> Values { get; } = [];

    /// <summary>Keys with their quotes.</summary>
    public List<(int Start, int Length)> Keys { get; } = [];

    /// <summary>Keys with their values.</summary>
    public List<(int Start, int Length)> Members { get; } = [];

    /// <summary>Null where the text is no JSON.</summary>
    public static JsonSpans? Find(ReadOnlySpan<byte> json)
    {
        JsonSpans spans = new();
        Stack<(int Start, int Key)> open = new();
        int key = -1;
        try
        {
            Utf8JsonReader reader = new(json, new JsonReaderOptions { MaxDepth = 100_000 });
            while (reader.Read())
            {
                int start = (int)reader.TokenStartIndex;
                int end = (int)reader.BytesConsumed;
                switch (reader.TokenType)
                {
                    case JsonTokenType.PropertyName:
                        // The reader counts the colon, and spaces before it, to the name.
                        int quoted = json[start..end].LastIndexOf((byte)'"') + 1;
                        spans.Keys.Add((start, quoted));
                        key = start;
                        break;
                    case JsonTokenType.StartObject or JsonTokenType.StartArray:
                        open.Push((start, key));
                        key = -1;
                        break;
                    case JsonTokenType.EndObject or JsonTokenType.EndArray:
                        (start, key) = open.Pop();
                        spans.Add(open.Count, start, end, ref key);
                        break;
                    default:
                        spans.Add(open.Count, start, end, ref key);
                        break;
                }
            }
            return spans;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Add(int depth, int start, int end, ref int key)
    {
        while (Values.Count <= depth)
            Values.Add([]);
        Values[depth].Add((start, end - start));
        if (key >= 0)
            Members.Add((key, end - key));
        key = -1;
    }
}
