using System.Globalization;

namespace Spectral.Training.Chat.Library;

/// <summary>Kinds of characters, as Python's str methods have them.</summary>
internal static class TextKinds
{
    public static bool IsAlpha(string text, int at) =>
        CharUnicodeInfo.GetUnicodeCategory(text, at) <= UnicodeCategory.OtherLetter;

    public static bool IsDecimal(string text, int at) =>
        CharUnicodeInfo.GetUnicodeCategory(text, at) == UnicodeCategory.DecimalDigitNumber;

    public static bool IsDigit(string text, int at) => CharUnicodeInfo.GetDigitValue(text, at) >= 0;

    public static bool IsNumeric(string text, int at) => CharUnicodeInfo.GetNumericValue(text, at) >= 0;

    public static bool IsAlphanumeric(string text, int at) => IsAlpha(text, at) || IsNumeric(text, at);

    /// <summary>Returns whether a text is an identifier.</summary>
    public static bool IsIdentifier(string text) =>
        text.Length > 0 && IsIdentifierStart(text[0]) && text.All(IsIdentifierPart);

    /// <summary>Returns whether a character may begin an identifier.</summary>
    public static bool IsIdentifierStart(char c) => c == '_' || char.IsLetter(c);

    /// <summary>Returns whether a character may go on an identifier.</summary>
    public static bool IsIdentifierPart(char c) =>
        IsIdentifierStart(c)
        || char.GetUnicodeCategory(c)
            is UnicodeCategory.DecimalDigitNumber
                or UnicodeCategory.NonSpacingMark
                or UnicodeCategory.SpacingCombiningMark
                or UnicodeCategory.ConnectorPunctuation;
}
