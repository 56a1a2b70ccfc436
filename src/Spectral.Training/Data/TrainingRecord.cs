namespace Spectral.Training.Data;

/// <summary>
/// A record of training or evaluation data: either a prompt with its completion, or a text. <paramref name="Place"/> is
/// the file and line it came from, for error messages.
/// </summary>
public sealed record TrainingRecord(string? Prompt, string? Completion, string? Text, string Place = "record")
{
    /// <summary>Creates a record whose loss is on the completion only.</summary>
    public static TrainingRecord Of(string prompt, string completion) => new(prompt, completion, null);

    /// <summary>Creates a record whose loss is on the whole text.</summary>
    public static TrainingRecord Of(string text) => new(null, null, text);
}
