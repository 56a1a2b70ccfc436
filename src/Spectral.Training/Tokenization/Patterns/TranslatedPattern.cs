namespace Spectral.Training.Tokenization.Patterns;

/// <summary>
/// An expression for .NET, the stand-ins that replace characters beyond U+FFFF in the text, and whether it can match
/// the empty text.
/// </summary>
internal sealed record TranslatedPattern(string Pattern, AstralStandIns StandIns, bool MayBeEmpty);
