using Spectral.Training.Chat;
using Spectral.Training.IO;

namespace Spectral.Training.Data.Formats;

/// <summary>
/// Reads conversations as lists of messages. The other keys of a record are variables of the chat template, so that
/// <c>prompt</c> and <c>text</c>, which data sets have beside them, do not matter.
/// </summary>
internal sealed class MessagesFormat : RecordFormat
{
    /// <inheritdoc/>
    public override string Name => "messages";

    /// <inheritdoc/>
    public override string Keys => "messages, each with role and content";

    /// <inheritdoc/>
    internal override IReadOnlyCollection<string> Outranks { get; } = ["preference", "prompt-completion", "text"];

    /// <inheritdoc/>
    internal override bool IsKnownBy(JsonFields record) => record.Has("messages");

    /// <inheritdoc/>
    internal override TrainingRecord Read(JsonFields record, string place) =>
        TrainingRecord.Of(Conversation.Read(record.Element, place));
}
