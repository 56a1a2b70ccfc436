namespace Spectral.Training.Tokenization;

/// <summary>A stretch of text between added tokens, and whether it is at the beginning of the whole text.</summary>
internal readonly record struct TextPiece(string Text, bool AtStart);
