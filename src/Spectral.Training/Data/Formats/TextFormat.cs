using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>Reads plain texts, of which every token but the first carries loss.</summary>
internal sealed class TextFormat : RecordFormat
{
    /// <inheritdoc/>
    public override string Name => "text";

    /// <inheritdoc/>
    public override string Keys => "text";

    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) => record.Has("text");

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place) =>
        new(null, null, Text(record, "text", place), place);
}
