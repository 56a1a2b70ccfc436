using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>
/// Reads texts, or pairs of texts, with a label, and lists of words with one for each. Texts have the names of the GLUE
/// tasks too (Wang et al., 2018).
/// </summary>
internal sealed class ClassificationFormat : RecordFormat
{
    public const string Id = "classification";

    private const string Label = "label";
    private const string Words = "tokens";
    private const string WordLabels = "labels";

    private static readonly (string Text, string? Second)[] Texts =
    [
        ("text", "text_pair"),
        ("sentence1", "sentence2"),
        ("premise", "hypothesis"),
        ("question1", "question2"),
        ("question", "sentence"),
        ("sentence", null),
    ];

    /// <inheritdoc/>
    public override string Name => Id;

    /// <inheritdoc/>
    public override string Keys => "text and label, with or without text_pair, or tokens and labels";

    // Only models that classify read such records, and ask for them; a label beside the text of a record for others is
    // a further key.
    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) => false;

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place)
    {
        if (record.Has(Words))
            return Of(OfWords(record, place), place);
        (string name, string? second) = Texts.FirstOrDefault(each => record.Has(each.Text));
        if (name is null)
            throw new InputException($"{place}: text missing or null, expected {Keys} ({Name})");
        ClassLabel label = record.Find(Label) is { } value
            ? LabelOf(value, Label, place)
            : throw new InputException($"{place}: {Label} missing or null, expected {Keys} ({Name})");
        string? other = second is null ? null : record.Text(second);
        return Of(new ClassifiedText(Text(record, name, place), other, null, [label]), place);
    }

    private static TrainingRecord Of(ClassifiedText text, string place) =>
        new(null, null, null, place) { Classified = text };

    private static ClassifiedText OfWords(JsonFields record, string place)
    {
        IReadOnlyList<string> words = record.Texts(Words)!;
        if (record.Array(WordLabels) is not { } labels || labels.GetArrayLength() != words.Count)
        {
            throw new InputException(
                $"{place}: {words.Count} {Words}, expected as many {WordLabels}, not "
                    + $"{record.Array(WordLabels)?.GetArrayLength() ?? 0}"
            );
        }

        return new ClassifiedText(
            null,
            null,
            words,
            [.. labels.EnumerateArray().Select(value => LabelOf(value, WordLabels, place))]
        );
    }

    private static ClassLabel LabelOf(JsonElement value, string key, string place) =>
        value.ValueKind switch
        {
            JsonValueKind.String => new ClassLabel(value.GetString(), 0),
            JsonValueKind.Number when value.TryGetDouble(out double number) && double.IsFinite(number) =>
                new ClassLabel(null, number),
            _ => throw new InputException(
                $"{place}: {key} has {InputText.Quote(value.GetRawText())}, expected the name of a class or a number"
            ),
        };
}
