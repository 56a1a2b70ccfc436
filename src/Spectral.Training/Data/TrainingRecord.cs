using Spectral.Training.Chat;

namespace Spectral.Training.Data;

/// <summary>
/// A record of training or evaluation data: a prompt with its completion, a text, or a conversation. With
/// <see cref="Rejected"/> it is a pair.
/// <paramref name="Place"/> is the file and line it came from, for error messages.
/// </summary>
public sealed record TrainingRecord(string? Prompt, string? Completion, string? Text, string Place = "record")
{
    /// <summary>The conversation, if it is one; prompt, completion and text are null then.</summary>
    public Conversation? Chat { get; init; }

    /// <summary>The rejected side of a pair, of which this record is the chosen one; null: it is no pair.</summary>
    public TrainingRecord? Rejected { get; init; }

    /// <summary>Whether a single answer is a good one; null: nothing says so.</summary>
    public bool? Label { get; init; }

    /// <summary>
    /// The choices of a question, of which <see cref="Completion"/> is the answer; null: it is no question.
    /// </summary>
    public IReadOnlyList<string>? Choices { get; init; }

    /// <summary>The number of the answer among <see cref="Choices"/>.</summary>
    public int Answer { get; init; }

    /// <summary>A text with labels, for a model that classifies; null: it is another record.</summary>
    public ClassifiedText? Classified { get; init; }

    /// <summary>
    /// The name of the adapter that the record is for, where several are attached (key <c>adapter</c>); null: the base.
    /// </summary>
    public string? Adapter { get; init; }

    /// <summary>
    /// The number of messages of a conversation that are the prompt of a pair; null: <see cref="TrainOn"/> counts.
    /// </summary>
    internal int? PromptMessages { get; init; }

    /// <summary>Creates a record of a conversation.</summary>
    public static TrainingRecord Of(Conversation conversation) =>
        new(null, null, null, conversation.Place) { Chat = conversation };

    /// <summary>Creates a record whose loss is on the completion only.</summary>
    public static TrainingRecord Of(string prompt, string completion) => new(prompt, completion, null);

    /// <summary>Creates a record whose loss is on the whole text.</summary>
    public static TrainingRecord Of(string text) => new(null, null, text);
}
