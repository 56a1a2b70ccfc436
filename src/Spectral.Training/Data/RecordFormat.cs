using System.Text.Json;
using Spectral.Training.Chat;
using Spectral.Training.IO;

namespace Spectral.Training.Data;

/// <summary>Describes a layout of records: the keys of one JSON object, or the columns of a table.</summary>
public abstract class RecordFormat
{
    /// <summary>The name, as <c>--format</c> takes it.</summary>
    public abstract string Name { get; }

    /// <summary>The keys that a record has, as text for messages and documents.</summary>
    public abstract string Keys { get; }

    /// <summary>
    /// The formats whose keys may stand beside those of this one, and are ignored then; null: those of no other format.
    /// </summary>
    internal virtual IReadOnlyCollection<string> Outranks => [];

    /// <summary>Returns whether a record has the key by which this format is known.</summary>
    internal abstract bool IsKnownBy(JsonFields record);

    /// <summary>Reads a record of this format.</summary>
    /// <param name="record">The record.</param>
    /// <param name="place">Where it is, for messages.</param>
    /// <exception cref="InputException">It lacks a key, or a value has another type.</exception>
    internal abstract TrainingRecord Read(JsonFields record, string place);

    /// <summary>Returns the text of a key.</summary>
    /// <exception cref="InputException">It is missing, null or no text.</exception>
    private protected string Text(JsonFields record, string key, string place) =>
        record.Text(key) ?? throw new InputException($"{place}: {key} missing or null, expected {Keys} ({Name})");

    /// <summary>Parses a record and lets the format that it has read it.</summary>
    /// <param name="format">The format; null: the one whose keys the record has.</param>
    /// <param name="json">The record in JSON.</param>
    /// <param name="place">Where it is, for messages.</param>
    internal static TrainingRecord Parse(RecordFormat? format, ReadOnlyMemory<byte> json, string place)
    {
        using JsonDocument document = StrictJson.Parse(json, place);
        JsonFields record = new(document.RootElement, place);
        return (format ?? RecordFormats.Recognise(record, place)).Read(record, place) with
        {
            Adapter = AdapterOf(record),
        };
    }

    /// <summary>Parses a record that has a prompt or messages, whatever else it has.</summary>
    /// <param name="json">The record in JSON.</param>
    /// <param name="place">Where it is, for messages.</param>
    internal static TrainingRecord ParsePrompt(ReadOnlyMemory<byte> json, string place)
    {
        using JsonDocument document = StrictJson.Parse(json, place);
        JsonFields record = new(document.RootElement, place);
        TrainingRecord prompt = record.Has("messages")
            ? TrainingRecord.Of(Conversation.Read(record.Element, place))
            : new TrainingRecord(
                record.Text("prompt") ?? throw new InputException($"{place}: no prompt, expected prompt or messages"),
                null,
                null,
                place
            );
        return prompt with { Adapter = AdapterOf(record) };
    }

    // A value of another kind is kept as it is written, so that whoever looks for the adapter can name it.
    private static string? AdapterOf(JsonFields record) =>
        record.Find("adapter") switch
        {
            null or { ValueKind: JsonValueKind.Null } => null,
            { ValueKind: JsonValueKind.String } text => text.GetString(),
            { } other => other.GetRawText(),
        };
}
