using System.Globalization;
using System.Numerics;

namespace Spectral.Training.Chat.Library;

/// <summary>Reads numbers as Python's <c>int</c> and <c>float</c> do.</summary>
internal static class NumberText
{
    // Python's own limit on the digits of an integer that is read or written.
    private const int MaximumDigits = 4300;

    /// <summary>
    /// Returns the integer that a text is in a base from 2 to 36, or 0 for that of its prefix; null if it is none.
    /// </summary>
    public static BigInteger? Integer(string text, int radix)
    {
        text = Spaces.Strip(text, null, true, true);
        bool negative = text is ['-', ..];
        if (text is ['-' or '+', ..])
            text = text[1..];
        int prefixed = text is ['0', var letter, ..] ? Prefix(letter) : 0;
        if (prefixed != 0 && (radix == prefixed || radix == 0))
        {
            text = text[2..].TrimStart('_');
            radix = prefixed;
        }
        else if (radix == 0)
        {
            radix = 10;
            if (text is ['0', _, ..] && text.AsSpan().IndexOfAnyExcept('0', '_') >= 0)
                return null;
        }
        if (radix is < 2 or > 36 || !HasPlainUnderscores(text, out string digits) || digits.Length > MaximumDigits)
            return null;
        BigInteger number = 0;
        foreach (char c in digits)
        {
            int digit = char.IsDigit(c) ? CharUnicodeInfo.GetDecimalDigitValue(c) : char.ToLowerInvariant(c) - 'a' + 10;
            if (digit < 0 || digit >= radix || (!char.IsDigit(c) && !char.IsAsciiLetter(c)))
                return null;
            number = number * radix + digit;
        }
        return negative ? -number : number;
    }

    /// <summary>Returns the float that a text is; null if it is none.</summary>
    public static double? Float(string text)
    {
        text = Spaces.Strip(text, null, true, true);
        string bare = text.TrimStart('+', '-').ToLowerInvariant();
        if (text.Length - bare.Length <= 1 && bare is "inf" or "infinity" or "nan")
        {
            double special = bare == "nan" ? double.NaN : double.PositiveInfinity;
            return text is ['-', ..] ? -special : special;
        }
        const NumberStyles Style =
            NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent;
        return
            HasPlainUnderscores(text, out string digits)
            && digits.AsSpan().IndexOfAnyExcept("0123456789+-.eE") < 0
            && double.TryParse(digits, Style, CultureInfo.InvariantCulture, out double number)
            ? number
            : null;
    }

    // Underscores may stand between digits only.
    private static bool HasPlainUnderscores(string text, out string digits)
    {
        digits = text.Replace("_", "");
        for (int i = 0; i < text.Length; i++)
        {
            if (
                text[i] == '_'
                && !(
                    i > 0
                    && i + 1 < text.Length
                    && char.IsLetterOrDigit(text[i - 1])
                    && char.IsLetterOrDigit(text[i + 1])
                )
            )
            {
                return false;
            }
        }
        return digits.Length > 0;
    }

    private static int Prefix(char letter) =>
        letter switch
        {
            'x' or 'X' => 16,
            'o' or 'O' => 8,
            'b' or 'B' => 2,
            _ => 0,
        };
}
