namespace Spectral.Training.Adapters.Tokens;

/// <summary>Computes numbers for each token of a record, [tokens, count].</summary>
/// <param name="tokens">The tokens of the record.</param>
/// <param name="prompt">
/// The number of those that are its prompt; all of them where it has no completion.
/// </param>
internal delegate float[] RecordNumbers(ReadOnlySpan<int> tokens, int prompt);
