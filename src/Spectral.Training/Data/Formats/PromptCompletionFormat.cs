using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>Reads prompts with their completions, which alone carry loss.</summary>
internal sealed class PromptCompletionFormat : RecordFormat
{
    public const string Id = "prompt-completion";

    /// <inheritdoc/>
    public override string Name => Id;

    /// <inheritdoc/>
    public override string Keys => "prompt and completion";

    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) => record.Has("prompt") || record.Has("completion");

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place) =>
        new(Text(record, "prompt", place), Text(record, "completion", place), null, place);
}
