using System.Numerics;

namespace Spectral.Training.Chat.Values;

/// <summary>Python's arithmetic on integers of any size and on floats; true and false count as 1 and 0.</summary>
internal static class Arithmetic
{
    private const int LargestBits = 1 << 16;

    /// <summary>Returns whether a value is a number, which includes true and false.</summary>
    public static bool IsNumber(object? value) => value is long or double or bool or BigInteger;

    /// <summary>Returns whether a value is an integer, which includes true and false.</summary>
    public static bool IsInteger(object? value) => value is long or bool or BigInteger;

    /// <summary>Returns an integer as a value.</summary>
    public static object Integer(BigInteger value) =>
        value >= long.MinValue && value <= long.MaxValue ? (object)(long)value : value;

    /// <summary>Returns an integer value.</summary>
    public static BigInteger Big(object? value) =>
        value switch
        {
            long number => number,
            bool truth => truth ? 1 : 0,
            _ => (BigInteger)value!,
        };

    /// <summary>Returns a number as a float.</summary>
    /// <exception cref="TemplateError">An integer is too large.</exception>
    public static double Float(object? value)
    {
        if (value is double number)
            return number;
        if (value is long small)
            return small;
        double converted = (double)Big(value);
        return double.IsInfinity(converted)
            ? throw new TemplateError("OverflowError", "int too large to convert to float")
            : converted;
    }

    /// <summary>Compares two numbers; null if one of them is not a number.</summary>
    public static int? Compare(object? a, object? b)
    {
        if (a is long left && b is long right)
            return left.CompareTo(right);
        if (a is not double && b is not double)
            return Big(a).CompareTo(Big(b));
        if (a is double.NaN || b is double.NaN)
            return null;
        if (a is double x && b is double y)
            return x.CompareTo(y);
        return a is double first ? -CompareMixed(b, first) : CompareMixed(a, (double)b!);
    }

    /// <summary>Returns a + b.</summary>
    public static object Add(object? a, object? b)
    {
        if (a is long x && b is long y)
        {
            long sum = unchecked(x + y);
            return ((x ^ sum) & (y ^ sum)) < 0 ? (object)((BigInteger)x + y) : sum;
        }
        return a is double || b is double ? (object)(Float(a) + Float(b)) : Integer(Big(a) + Big(b));
    }

    /// <summary>Returns a − b.</summary>
    public static object Subtract(object? a, object? b) =>
        a is double || b is double ? Float(a) - Float(b) : Integer(Big(a) - Big(b));

    /// <summary>Returns a · b.</summary>
    public static object Multiply(object? a, object? b) =>
        a is double || b is double ? Float(a) * Float(b) : Integer(Bounded(Big(a) * Big(b)));

    /// <summary>Returns a / b as a float.</summary>
    public static object Divide(object? a, object? b)
    {
        bool isFloat = a is double || b is double;
        double divisor = Float(b);
        if (divisor == 0)
            throw Zero(isFloat ? "float division by zero" : "division by zero");
        return Float(a) / divisor;
    }

    /// <summary>Returns a / b rounded down.</summary>
    public static object FloorDivide(object? a, object? b)
    {
        if (a is double || b is double)
        {
            double divisor = Float(b);
            if (divisor == 0)
                throw Zero("float floor division by zero");
            double remainder = FloatModulo(Float(a), divisor);
            double quotient = (Float(a) - remainder) / divisor;
            double floor = Math.Floor(quotient);
            return quotient - floor > 0.5 ? floor + 1 : floor;
        }
        BigInteger by = Big(b);
        if (by.IsZero)
            throw Zero("integer division or modulo by zero");
        var whole = BigInteger.DivRem(Big(a), by, out BigInteger rest);
        return Integer(!rest.IsZero && rest.Sign != by.Sign ? whole - 1 : whole);
    }

    /// <summary>Returns the remainder of <see cref="FloorDivide"/>, with the sign of b.</summary>
    public static object Modulo(object? a, object? b)
    {
        if (a is double || b is double)
        {
            double divisor = Float(b);
            return divisor == 0 ? throw Zero("float modulo") : FloatModulo(Float(a), divisor);
        }
        BigInteger by = Big(b);
        if (by.IsZero)
            throw Zero("integer modulo by zero");
        var rest = BigInteger.Remainder(Big(a), by);
        return Integer(!rest.IsZero && rest.Sign != by.Sign ? rest + by : rest);
    }

    /// <summary>Returns a to the power of b.</summary>
    public static object Power(object? a, object? b)
    {
        if (a is double || b is double || Big(b).Sign < 0)
        {
            double power = Math.Pow(Float(a), Float(b));
            if (Float(a) == 0 && Float(b) < 0)
                throw Zero("0.0 cannot be raised to a negative power");
            if (double.IsNaN(power) && !double.IsNaN(Float(a)) && !double.IsNaN(Float(b)))
                throw TemplateError.Type("a negative number to a fractional power is complex, expected a real number");
            if (double.IsInfinity(power) && double.IsFinite(Float(a)) && double.IsFinite(Float(b)))
                throw new TemplateError("OverflowError", "(34, 'Numerical result out of range')");
            return power;
        }
        BigInteger number = Big(a);
        BigInteger exponent = Big(b);
        if (BigInteger.Abs(number) > 1 && exponent * number.GetBitLength() > LargestBits)
            throw TemplateError.Limit($"an integer of more than {LargestBits} bits");
        if (BigInteger.Abs(number) > 1)
            return Integer(BigInteger.Pow(number, (int)exponent));
        if (exponent.IsZero)
            return Integer(1);
        return Integer(exponent.IsEven ? BigInteger.Abs(number) : number); // of −1, 0 or 1
    }

    /// <summary>Returns −a.</summary>
    public static object Negate(object? value) => value is double number ? -number : Integer(-Big(value));

    /// <summary>Rounds a float to an integer towards zero.</summary>
    /// <exception cref="TemplateError">The float is not finite.</exception>
    public static object Truncate(double value) =>
        double.IsFinite(value)
            ? Integer(new BigInteger(value))
            : throw (
                double.IsNaN(value)
                    ? TemplateError.Value("cannot convert float NaN to integer")
                    : new TemplateError("OverflowError", "cannot convert float infinity to integer")
            );

    private static int CompareMixed(object? integer, double number)
    {
        if (double.IsInfinity(number))
            return number > 0 ? -1 : 1;
        int order = Big(integer).CompareTo(new BigInteger(number));
        return order != 0 ? order : -(number - Math.Truncate(number)).CompareTo(0.0);
    }

    private static double FloatModulo(double a, double b)
    {
        double rest = a % b;
        if (rest == 0)
            return Math.CopySign(0, b);
        return rest < 0 != b < 0 ? rest + b : rest;
    }

    private static BigInteger Bounded(BigInteger value) =>
        value.GetBitLength() <= LargestBits
            ? value
            : throw TemplateError.Limit($"an integer of more than {LargestBits} bits");

    private static TemplateError Zero(string message) => new("ZeroDivisionError", message);
}
