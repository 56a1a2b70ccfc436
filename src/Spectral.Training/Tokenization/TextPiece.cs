namespace Spectral.Training.Tokenization;

/// <summary>A stretch of text between added tokens, and whether it begins where the whole text begins.</summary>
internal readonly record struct TextPiece(string Text, bool AtStart);
