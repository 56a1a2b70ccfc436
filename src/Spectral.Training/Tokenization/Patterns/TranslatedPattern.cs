namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// An expression for .NET, the stand-ins that text must have in place of characters beyond U+FFFF, and whether it can
/// match nothing.
/// </summary>
internal sealed record TranslatedPattern(string Pattern, AstralStandIns StandIns, bool MayBeEmpty);
