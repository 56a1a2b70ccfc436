namespace Spectral.Training.Tokenization.Patterns;

/// <summary>Reports a construct of an expression that is not translated; the message names it.</summary>
internal sealed class PatternException(string message) : Exception(message);
