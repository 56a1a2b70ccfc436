namespace Spectral.Training.Data;

/// <summary>A choice of a question as token ids.</summary>
/// <param name="Record">The prompt and the choice, without an end token; the choice carries loss.</param>
/// <param name="Characters">
/// The number of Unicode characters of the choice without white space around it, at least 1.
/// </param>
public sealed record EncodedChoice(EncodedRecord Record, int Characters);
