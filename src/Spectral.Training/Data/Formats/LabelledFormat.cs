using System.Text.Json;
using Spectral.Training.Chat;
using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>
/// Reads single answers to prompts with a label that says whether they are good, as TRL has them for KTO: texts, or
/// lists of messages. Other keys beside lists are variables of the chat template.
/// </summary>
internal sealed class LabelledFormat : RecordFormat
{
    public const string Id = "labelled";

    private const string Prompt = "prompt";
    private const string Completion = "completion";
    private const string Label = "label";

    /// <inheritdoc/>
    public override string Name => Id;

    /// <inheritdoc/>
    public override string Keys => "prompt, completion and label";

    /// <inheritdoc/>
    internal override IReadOnlyCollection<string> Outranks { get; } = [PromptCompletionFormat.Id];

    // A label of another kind belongs to something else.
    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) =>
        record.Has(Completion) && record.Find(Label) is { ValueKind: JsonValueKind.True or JsonValueKind.False };

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place)
    {
        bool label =
            record.Boolean(Label)
            ?? throw new InputException($"{place}: {Label} missing or null, expected true or false");
        return Answer(record, place) with { Label = label };
    }

    private TrainingRecord Answer(JsonFields record, string place)
    {
        if (record.Find(Completion) is not { ValueKind: JsonValueKind.Array } answer)
            return new TrainingRecord(Text(record, Prompt, place), Text(record, Completion, place), null, place);
        if (record.Find(Prompt) is not { ValueKind: JsonValueKind.Array } prompt || prompt.GetArrayLength() == 0)
        {
            throw new InputException(
                $"{place}: {Completion} is a list and {Prompt} is none with messages, expected both of one kind"
            );
        }

        if (answer.GetArrayLength() == 0)
            throw new InputException($"{place}: {Completion} is empty, expected the messages of an answer");
        return TrainingRecord.Of(
            Conversation.Join(
                record.Element,
                [(Prompt, [.. prompt.EnumerateArray()]), (Completion, [.. answer.EnumerateArray()])],
                [Prompt, Completion, Label],
                place
            )
        ) with
        {
            PromptMessages = prompt.GetArrayLength(),
        };
    }
}
