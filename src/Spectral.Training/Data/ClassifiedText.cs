namespace Spectral.Training.Data;

/// <summary>A text with its label, a pair of texts with theirs, or words with one for each.</summary>
/// <param name="Text">The text; null: there are words.</param>
/// <param name="Second">The second text of a pair; null: there is none.</param>
/// <param name="Words">The words; null: there is a text.</param>
/// <param name="Labels">One label, or one for each word.</param>
public sealed record ClassifiedText(
    string? Text,
    string? Second,
    IReadOnlyList<string>? Words,
    IReadOnlyList<ClassLabel> Labels
);
