namespace Spectral.Training.Tokenization;

/// <summary>
/// Takes a stretch of text on its way to the merges: a step of a pre-tokenizer, which hands what it makes of it to the
/// next one, or the merges themselves. Text that is only cut is not copied.
/// </summary>
/// <param name="text">The stretch.</param>
/// <param name="atStart">Whether it begins where the whole text begins.</param>
/// <param name="run">What belongs to the encoding of this text alone.</param>
internal delegate void PieceStep(ReadOnlySpan<char> text, bool atStart, EncodingRun run);
