using System.Text.Json;
using Spectral.Training.Chat;
using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>
/// Reads pairs of a chosen and a rejected answer to one prompt, as TRL has them: texts, or lists of messages. If the
/// answers are lists, the prompt may be missing, or a text that repeats a message; it is then what both lists begin
/// with. Other keys beside lists are variables of the chat template.
/// </summary>
internal sealed class PreferenceFormat : RecordFormat
{
    public const string Id = "preference";

    private const string Prompt = "prompt";
    private const string Chosen = "chosen";
    private const string Rejected = "rejected";

    /// <inheritdoc/>
    public override string Name => Id;

    /// <inheritdoc/>
    public override string Keys => "prompt, chosen and rejected";

    /// <inheritdoc/>
    internal override IReadOnlyCollection<string> Outranks { get; } = [PromptCompletionFormat.Id];

    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) => record.Has(Chosen) || record.Has(Rejected);

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place)
    {
        JsonValueKind kind = Side(record, Chosen, place);
        JsonValueKind other = Side(record, Rejected, place);
        if (kind != other)
        {
            throw new InputException(
                $"{place}: {Chosen} is {Describe(kind)} and {Rejected} {Describe(other)}, expected both of one kind"
            );
        }

        return kind == JsonValueKind.Array ? OfMessages(record, place) : OfTexts(record, place);
    }

    private TrainingRecord OfTexts(JsonFields record, string place)
    {
        string prompt = Text(record, Prompt, place);
        return new TrainingRecord(prompt, Text(record, Chosen, place), null, place)
        {
            Rejected = new TrainingRecord(prompt, Text(record, Rejected, place), null, place),
        };
    }

    private static TrainingRecord OfMessages(JsonFields record, string place)
    {
        JsonElement[] chosen = [.. record.Array(Chosen)!.Value.EnumerateArray()];
        JsonElement[] rejected = [.. record.Array(Rejected)!.Value.EnumerateArray()];
        JsonElement[] prompt = record.Find(Prompt) is { ValueKind: JsonValueKind.Array } given
            ? [.. given.EnumerateArray()]
            : [];
        int begun = 0;
        if (prompt.Length == 0)
        {
            int shorter = Math.Min(chosen.Length, rejected.Length);
            while (begun < shorter && JsonElement.DeepEquals(chosen[begun], rejected[begun]))
                begun++;
            if (begun == shorter)
            {
                throw new InputException(
                    $"{place}: {Chosen} and {Rejected} do not part before the end of one, expected an answer of its "
                        + "own in each"
                );
            }
        }

        int messages = prompt.Length + begun;
        if (messages == 0)
        {
            throw new InputException(
                $"{place}: {Chosen} and {Rejected} begin with different messages, expected a {Prompt}, or a common "
                    + "beginning"
            );
        }

        return Of(Chosen, chosen) with
        {
            Rejected = Of(Rejected, rejected),
        };

        TrainingRecord Of(string key, JsonElement[] answer) =>
            TrainingRecord.Of(
                Conversation.Join(record.Element, [(Prompt, prompt), (key, answer)], [Prompt, Chosen, Rejected], place)
            ) with
            {
                PromptMessages = messages,
            };
    }

    private JsonValueKind Side(JsonFields record, string key, string place)
    {
        JsonElement value =
            record.Find(key) ?? throw new InputException($"{place}: {key} missing or null, expected {Keys} ({Name})");
        bool isEmpty = value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!.Length == 0,
            JsonValueKind.Array => value.GetArrayLength() == 0,
            _ => throw record.Wrong(key, value, "a text or a list of messages"),
        };
        return isEmpty
            ? throw new InputException($"{place}: {key} is empty, expected the text or the messages of an answer")
            : value.ValueKind;
    }

    private static string Describe(JsonValueKind kind) => kind == JsonValueKind.Array ? "a list" : "a text";
}
