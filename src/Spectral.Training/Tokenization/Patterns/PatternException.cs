namespace Spectral.Training.Tokenization.Patterns;

/// <summary>An expression has a construct that is not translated; the message names it.</summary>
internal sealed class PatternException(string message) : Exception(message);
