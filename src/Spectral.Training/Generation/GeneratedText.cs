namespace Spectral.Training.Generation;

/// <summary>
/// A continuation: its text, without the prompt and special tokens, and its token ids, the end token excluded.
/// </summary>
public sealed record GeneratedText(string Text, IReadOnlyList<int> Tokens);
