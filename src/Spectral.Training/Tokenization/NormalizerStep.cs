namespace Spectral.Training.Tokenization;

/// <summary>Normalizes a text. It is a whole normalizer or one of its steps.</summary>
/// <param name="text">The text to normalize.</param>
/// <param name="goesOn">
/// Whether the text continues another one. Then nothing is put before it or removed from its beginning.
/// </param>
internal delegate string NormalizerStep(string text, bool goesOn);
