using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>
/// Reads questions with several choices, of which one is the answer, given by its number from 0 or by its text. The
/// answer is the completion of the prompt.
/// </summary>
internal sealed class MultipleChoiceFormat : RecordFormat
{
    private const string Prompt = "prompt";
    private const string Choices = "choices";
    private const string Answer = "answer";

    /// <inheritdoc/>
    public override string Name => "multiple-choice";

    /// <inheritdoc/>
    public override string Keys => "prompt, choices and answer";

    /// <inheritdoc/>
    internal override IReadOnlyCollection<string> Outranks { get; } = [PromptCompletionFormat.Id];

    // Choices of another kind belong to something else.
    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) =>
        record.Find(Choices) is { ValueKind: JsonValueKind.Array } && record.IsGiven(Answer);

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place)
    {
        string prompt = Text(record, Prompt, place);
        IReadOnlyList<string> choices =
            record.Texts(Choices)
            ?? throw new InputException($"{place}: {Choices} missing or null, expected {Keys} ({Name})");
        if (choices.Count < 2)
            throw new InputException($"{place}: {Choices} has {choices.Count} of them, expected two or more");
        if (choices.FirstOrDefault(string.IsNullOrWhiteSpace) is { } blank)
        {
            throw new InputException(
                $"{place}: {Choices} has {InputText.Quote(blank)}, expected text that is not blank"
            );
        }

        int answer = AnswerOf(record, choices, place);
        return new TrainingRecord(prompt, choices[answer], null, place) { Choices = choices, Answer = answer };
    }

    private int AnswerOf(JsonFields record, IReadOnlyList<string> choices, string place)
    {
        switch (record.Find(Answer))
        {
            case { ValueKind: JsonValueKind.Number } number:
                return number.TryGetInt32(out int index) && index >= 0 && index < choices.Count
                    ? index
                    : throw new InputException(
                        $"{place}: {Answer} is {number.GetRawText()}, expected 0 to {choices.Count - 1} or the text "
                            + "of a choice"
                    );
            case { ValueKind: JsonValueKind.String } text:
                int[] equal =
                [
                    .. Enumerable
                        .Range(0, choices.Count)
                        .Where(choice =>
                            choices[choice].AsSpan().Trim().SequenceEqual(text.GetString().AsSpan().Trim())
                        ),
                ];
                return equal.Length == 1
                    ? equal[0]
                    : throw new InputException(
                        $"{place}: {Answer} {InputText.Quote(text.GetString()!)} is {equal.Length} of the "
                            + $"{Choices}, expected the text of one of them or its number from 0"
                    );
            default:
                throw new InputException($"{place}: {Answer} missing or of another kind, expected {Keys} ({Name})");
        }
    }
}
