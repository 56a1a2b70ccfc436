namespace Spectral.Training.Data.Files;

/// <summary>A record as JSON in UTF-8, which is valid until the next one is read.</summary>
/// <param name="Json">The text, which need not be valid.</param>
/// <param name="Place">The file and the place in it, for messages.</param>
internal readonly record struct RawRecord(ReadOnlyMemory<byte> Json, string Place);
