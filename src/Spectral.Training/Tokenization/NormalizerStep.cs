namespace Spectral.Training.Tokenization;

/// <summary>What a normalizer, or one of its steps, makes of a text.</summary>
/// <param name="text">The text.</param>
/// <param name="goesOn">
/// Whether it goes on where another one ended. Then nothing is put before it or taken off its beginning.
/// </param>
internal delegate string NormalizerStep(string text, bool goesOn);
