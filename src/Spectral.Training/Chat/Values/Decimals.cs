using System.Globalization;
using System.Numerics;

namespace Spectral.Training.Chat.Values;

/// <summary>
/// Decimal texts of floats, rounded from the exact value, ties to even, as C's printf and Python's round do.
/// </summary>
internal static class Decimals
{
    /// <summary>Returns a finite, non-negative number with some digits after the point.</summary>
    public static string Fixed(double value, int places)
    {
        string digits = Scaled(value, places).ToString(CultureInfo.InvariantCulture).PadLeft(places + 1, '0');
        return places == 0 ? digits : digits[..^places] + "." + digits[^places..];
    }

    /// <summary>Returns a finite, non-negative number as one digit, others after the point, and the exponent.</summary>
    public static (string Digits, int Exponent) Scientific(double value, int places)
    {
        if (value == 0)
            return (places == 0 ? "0" : "0." + new string('0', places), 0);
        int exponent = (int)Math.Floor(Math.Log10(value));
        string digits = Text(exponent);
        // The logarithm may be off by one, and rounding may carry.
        while (digits.Length > places + 1)
            digits = Text(++exponent);
        while (digits.Length < places + 1)
            digits = Text(--exponent);
        return (places == 0 ? digits : digits[..1] + "." + digits[1..], exponent);

        string Text(int power) => Scaled(value, places - power).ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>Rounds a finite number to some digits after the point, before it if negative.</summary>
    public static double Round(double value, int places)
    {
        if (places > 330 || value == 0)
            return value;
        if (places < -310)
            return Math.CopySign(0, value);
        BigInteger scaled = Scaled(Math.Abs(value), places);
        double rounded = double.Parse(
            scaled.ToString(CultureInfo.InvariantCulture) + "E" + (-places).ToString(CultureInfo.InvariantCulture),
            CultureInfo.InvariantCulture
        );
        return Math.CopySign(rounded, value);
    }

    /// <summary>Rounds an integer to a multiple of a power of ten.</summary>
    public static BigInteger Round(BigInteger value, int zeros) =>
        Divide(value, BigInteger.Pow(10, zeros)) * BigInteger.Pow(10, zeros);

    // value · 10^places, rounded.
    private static BigInteger Scaled(double value, int places)
    {
        long bits = BitConverter.DoubleToInt64Bits(value);
        int exponent = (int)(bits >> 52) & 0x7ff;
        long mantissa = bits & 0xfffffffffffff;
        if (exponent > 0)
            mantissa |= 1L << 52;
        int power = Math.Max(exponent, 1) - 1075;
        BigInteger numerator = mantissa;
        BigInteger denominator = 1;
        if (power > 0)
            numerator <<= power;
        else
            denominator <<= -power;
        if (places > 0)
            numerator *= BigInteger.Pow(10, places);
        else
            denominator *= BigInteger.Pow(10, -places);
        return Divide(numerator, denominator);
    }

    private static BigInteger Divide(BigInteger numerator, BigInteger denominator)
    {
        var whole = BigInteger.DivRem(numerator, denominator, out BigInteger rest);
        int order = (2 * BigInteger.Abs(rest)).CompareTo(denominator);
        bool away = order > 0 || (order == 0 && !whole.IsEven);
        return away ? whole + numerator.Sign : whole;
    }
}
