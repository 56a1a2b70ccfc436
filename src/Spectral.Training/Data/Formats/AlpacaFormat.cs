using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>
/// Reads instructions with an optional input and the output to learn, put into the template of Stanford Alpaca
/// (tatsu-lab/stanford_alpaca, <c>PROMPT_DICT</c>): one text with an input, another without or with an empty one.
/// </summary>
internal sealed class AlpacaFormat : RecordFormat
{
    private const string Request = "Write a response that appropriately completes the request.\n\n### Instruction:\n";
    private const string Response = "\n\n### Response:";

    /// <inheritdoc/>
    public override string Name => "alpaca";

    /// <inheritdoc/>
    public override string Keys => "instruction and output, with or without input";

    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) => record.Has("instruction");

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place)
    {
        string instruction = Text(record, "instruction", place);
        string output = Text(record, "output", place);
        // Later data sets have them; leaving them out would change what the instruction means.
        foreach (string key in (string[])["system", "history"])
        {
            if (record.Find(key) is { } value && !IsEmpty(value))
            {
                throw new InputException(
                    $"{place}: {key} with something in it, for which Alpaca's template has no place; expected {Keys}"
                );
            }
        }

        string prompt = record.Text("input") is { Length: > 0 } input
            ? "Below is an instruction that describes a task, paired with an input that provides further context. "
                + $"{Request}{instruction}\n\n### Input:\n{input}{Response}"
            : $"Below is an instruction that describes a task. {Request}{instruction}{Response}";
        return new TrainingRecord(prompt, output, null, place);
    }

    private static bool IsEmpty(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!.Length == 0,
            JsonValueKind.Array => value.GetArrayLength() == 0,
            _ => false,
        };
}
