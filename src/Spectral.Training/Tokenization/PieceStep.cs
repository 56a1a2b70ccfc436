namespace Spectral.Training.Tokenization;

/// <summary>
/// Processes a stretch of text on its way to the merges: a step of a pre-tokenizer, which passes its result to the next
/// step, or the merges themselves. Text that is only split is not copied.
/// </summary>
/// <param name="text">The stretch of text.</param>
/// <param name="atStart">Whether it is at the beginning of the whole text.</param>
/// <param name="run">The state of encoding this text.</param>
internal delegate void PieceStep(ReadOnlySpan<char> text, bool atStart, EncodingRun run);
