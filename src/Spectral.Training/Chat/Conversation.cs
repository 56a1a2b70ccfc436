using System.Text.Json;
using Spectral.Training.Chat.Values;
using Spectral.Training.IO;

namespace Spectral.Training.Chat;

/// <summary>
/// A conversation as JSON has it: an object with <c>messages</c>, each with a role and content, and any further
/// variables of the template, such as <c>tools</c> and <c>documents</c>.
/// </summary>
public sealed class Conversation
{
    private const long MaximumBytes = 64 << 20;

    private readonly Mapping _variables;
    private readonly List<object?> _messages;

    private Conversation(Mapping variables, List<object?> messages, string place)
    {
        _variables = variables;
        _messages = messages;
        Place = place;
    }

    /// <summary>The file, and the line of a record, that it came from.</summary>
    public string Place { get; }

    /// <summary>The number of messages.</summary>
    public int Count => _messages.Count;

    /// <summary>Whether the text is to end within the last message, so that a model goes on with it.</summary>
    internal bool IsContinued => Sequences.IsTrue(Variable("continue_final_message"));

    /// <summary>Reads a file with one conversation.</summary>
    /// <exception cref="InputException">The file is missing, not valid JSON, or not a conversation.</exception>
    public static Conversation Load(string path)
    {
        using JsonDocument document = StrictJson.ParseFile(path, MaximumBytes);
        return Read(document.RootElement, path);
    }

    /// <summary>Creates a conversation of messages that all have a role and a text.</summary>
    /// <param name="messages">Role and content of each message.</param>
    public static Conversation Of(IEnumerable<(string Role, string Content)> messages) =>
        new(new Mapping(), Messages(messages), "messages");

    /// <summary>Creates a conversation of messages with the variables that stand beside them in a record.</summary>
    /// <param name="messages">Role and content of each message.</param>
    /// <param name="record">The record.</param>
    /// <param name="others">Keys of the record that are no variables.</param>
    /// <param name="place">Where it is, for messages.</param>
    internal static Conversation Of(
        IEnumerable<(string Role, string Content)> messages,
        JsonElement record,
        IReadOnlyCollection<string> others,
        string place
    ) => new(Variables(record, others), Messages(messages), place);

    /// <summary>Creates a conversation of lists of messages that stand beside each other in a record.</summary>
    /// <param name="record">The record.</param>
    /// <param name="lists">The lists in order, each with its key.</param>
    /// <param name="others">Keys of the record that are no variables.</param>
    /// <param name="place">Where it is, for messages.</param>
    /// <exception cref="InputException">An element is no message.</exception>
    internal static Conversation Join(
        JsonElement record,
        IReadOnlyList<(string Key, JsonElement[] Messages)> lists,
        IReadOnlyCollection<string> others,
        string place
    )
    {
        List<object?> messages = [];
        foreach ((string key, JsonElement[] list) in lists)
        {
            for (int i = 0; i < list.Length; i++)
            {
                Check(list[i], $"{place}: {key}[{i}]");
                messages.Add(JsonValues.Read(list[i]));
            }
        }
        return new Conversation(Variables(record, others), messages, place);
    }

    /// <summary>Reads a conversation from JSON.</summary>
    /// <param name="element">The object.</param>
    /// <param name="place">Where it is, for messages.</param>
    /// <exception cref="InputException">It is not a conversation.</exception>
    internal static Conversation Read(JsonElement element, string place)
    {
        JsonFields fields = new(element, place);
        if (fields.Array("messages") is not { } array || array.GetArrayLength() == 0)
            throw new InputException($"{place}: no messages, expected a list of at least one message");
        int index = 0;
        foreach (JsonElement message in array.EnumerateArray())
            Check(message, $"{place}: messages[{index++}]");
        var variables = (Mapping)JsonValues.Read(element)!;
        variables.TryGet("messages", out object? messages);
        return new Conversation(variables, (List<object?>)messages!, place);
    }

    /// <summary>Returns the role of a message.</summary>
    internal string Role(int message) =>
        ((Mapping)_messages[message]!).TryGet("role", out object? role) ? (string)role! : "";

    /// <summary>Returns a variable other than the messages; null if it is none.</summary>
    internal object? Variable(string name) => _variables.TryGet(name, out object? value) ? value : null;

    /// <summary>Returns the text of the last message; null if it is not a text.</summary>
    internal string? LastText() =>
        ((Mapping)_messages[^1]!).TryGet("content", out object? content) ? content as string : null;

    /// <summary>Returns the variables for its first messages.</summary>
    internal Mapping Variables(int messages)
    {
        Mapping variables = new(_variables);
        variables["messages"] = messages == Count ? _messages : _messages.GetRange(0, messages);
        return variables;
    }

    private static Mapping Variables(JsonElement record, IReadOnlyCollection<string> others)
    {
        Mapping variables = new();
        foreach (JsonProperty property in record.EnumerateObject())
        {
            if (!others.Contains(property.Name))
                variables[property.Name] = JsonValues.Read(property.Value);
        }
        return variables;
    }

    private static List<object?> Messages(IEnumerable<(string Role, string Content)> messages)
    {
        List<object?> list = [];
        foreach ((string role, string content) in messages)
        {
            Mapping message = new();
            message["role"] = role;
            message["content"] = content;
            list.Add(message);
        }
        return list;
    }

    private static void Check(JsonElement message, string place)
    {
        if (message.ValueKind != JsonValueKind.Object)
            throw new InputException($"{place} is no object, expected one with role and content");
        if (!message.TryGetProperty("role", out JsonElement role))
            throw new InputException($"{place} has no role, expected role and content, both texts");
        if (role.ValueKind != JsonValueKind.String)
            throw new InputException($"{place} has a role of another type, expected a text");
        bool isCall =
            message.TryGetProperty("tool_calls", out JsonElement calls) && calls.ValueKind != JsonValueKind.Null;
        if (isCall && calls.ValueKind != JsonValueKind.Array)
            throw new InputException($"{place} has tool_calls of another type, expected a list of calls");
        isCall = isCall && calls.GetArrayLength() > 0;
        bool hasContent = message.TryGetProperty("content", out JsonElement content);
        if (!hasContent && !isCall)
            throw new InputException($"{place} has no content, expected role and content, or tool_calls");
        bool isKnown = content.ValueKind is JsonValueKind.String or JsonValueKind.Array;
        if (hasContent && !isKnown && !(isCall && content.ValueKind == JsonValueKind.Null))
            throw new InputException($"{place} has a content of another type, expected a text, or a list of parts");
    }
}
