using Spectral.Training.Chat;
using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>
/// Reads conversations of turns <c>{"from": …, "value": …}</c>, as the exports of ShareGPT have them. They become
/// messages, which the model's chat template renders. A <c>system</c> beside the turns is a first message, and the
/// other keys are variables of the template.
/// </summary>
internal sealed class ShareGptFormat : RecordFormat
{
    private static readonly Dictionary<string, string> Roles = new()
    {
        ["human"] = "user",
        ["user"] = "user",
        ["gpt"] = "assistant",
        ["chatgpt"] = "assistant",
        ["bing"] = "assistant",
        ["bard"] = "assistant",
        ["assistant"] = "assistant",
        ["model"] = "assistant",
        ["system"] = "system",
        ["tool"] = "tool",
        ["observation"] = "tool",
    };

    /// <inheritdoc/>
    public override string Name => "sharegpt";

    /// <inheritdoc/>
    public override string Keys => "conversations, each turn with from and value";

    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) => record.Has("conversations");

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place)
    {
        if (record.Array("conversations") is not { } turns || turns.GetArrayLength() == 0)
            throw new InputException($"{place}: no conversations, expected a list of at least one turn");
        List<(string, string)> messages = [];
        if (record.Text("system") is { Length: > 0 } system)
            messages.Add(("system", system));
        foreach (JsonFields turn in record.Objects("conversations"))
        {
            string from = turn.RequiredText("from");
            if (!Roles.TryGetValue(from, out string? role))
                throw turn.Wrong("from", "one of " + string.Join(", ", Roles.Keys));
            messages.Add((role, turn.RequiredText("value")));
        }
        return TrainingRecord.Of(Conversation.Of(messages, record.Element, ["conversations", "system"], place));
    }
}
