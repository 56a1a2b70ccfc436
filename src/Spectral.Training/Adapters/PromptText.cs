namespace Spectral.Training.Adapters;

/// <summary>The text whose embeddings a soft prompt starts from.</summary>
/// <param name="Text">The text as it was given.</param>
/// <param name="Tokens">Its tokens, repeated or cut to the number of virtual tokens; empty: they are unknown.</param>
public sealed record PromptText(string Text, IReadOnlyList<int> Tokens);
