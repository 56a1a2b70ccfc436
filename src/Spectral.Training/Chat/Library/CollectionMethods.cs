using System.Numerics;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>The methods of Python's dict, list, tuple, range and numbers that change nothing.</summary>
internal static class CollectionMethods
{
    /// <summary>Returns a method of a dict; null if there is none of that name.</summary>
    public static Callable? OfMapping(Mapping mapping, string name) =>
        name switch
        {
            "items" => Method(name, (_, _) => new MappingView(mapping, MappingPart.Items), 0),
            "keys" => Method(name, (_, _) => new MappingView(mapping, MappingPart.Keys), 0),
            "values" => Method(name, (_, _) => new MappingView(mapping, MappingPart.Values), 0),
            "copy" => Method(name, (_, _) => new Mapping(mapping), 0),
            "get" => Method(
                name,
                (values, _) => mapping.TryGet(values[0], out object? value) ? value : OrNone(values[1]),
                1,
                "key",
                "default"
            ),
            _ => null,
        };

    /// <summary>Returns a method of a list or tuple; null if there is none of that name.</summary>
    public static Callable? OfList(IReadOnlyList<object?> items, bool isTuple, string name) =>
        name switch
        {
            "count" => Method(
                name,
                (values, rendering) =>
                    (long)items.Count(item => PythonEquality.Equal(item, values[0], rendering.Budget)),
                1,
                "value"
            ),
            "index" => Method(
                name,
                (values, rendering) => Index(items, isTuple ? "tuple" : "list", values, rendering),
                1,
                "value",
                "start",
                "stop"
            ),
            "copy" when !isTuple => Method(
                name,
                (_, rendering) =>
                {
                    rendering.Budget.Items(items.Count);
                    return new List<object?>(items);
                },
                0
            ),
            _ => null,
        };

    /// <summary>Returns an attribute of a range; null if there is none of that name.</summary>
    public static object? OfRange(IntegerRange range, string name) =>
        name switch
        {
            "start" => range.Start,
            "stop" => range.Stop,
            "step" => range.Step,
            "count" or "index" => OfList(range, isTuple: true, name),
            _ => null,
        };

    /// <summary>Returns an attribute of a number; null if there is none of that name.</summary>
    public static object? OfNumber(object? number, string name) =>
        (number, name) switch
        {
            (_, "real") => number is bool ? Arithmetic.Integer(Arithmetic.Big(number)) : number,
            (double, "imag") => 0.0,
            (_, "imag") => 0L,
            (double value, "is_integer") => Method(name, (_, _) => value == Math.Floor(value), 0),
            (double, _) => null,
            (_, "numerator") => Arithmetic.Integer(Arithmetic.Big(number)),
            (_, "denominator") => 1L,
            (_, "bit_length") => Method(name, (_, _) => (long)BigInteger.Abs(Arithmetic.Big(number)).GetBitLength(), 0),
            _ => null,
        };

    /// <summary>Creates a bound method.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="body">What it does with the values of its parameters.</param>
    /// <param name="required">The number of parameters, from the first, that must be given.</param>
    /// <param name="parameters">The names of its parameters.</param>
    public static Callable Method(
        string name,
        Func<object?[], Rendering, object?> body,
        int required,
        params string[] parameters
    ) =>
        new Function(
            name,
            (arguments, rendering) => body(arguments.Bind(name, required, parameters), rendering),
            "builtin_function_or_method"
        );

    private static object? OrNone(object? value) => value == Arguments.Absent ? null : value;

    private static object Index(IReadOnlyList<object?> items, string type, object?[] values, Rendering rendering)
    {
        long start = Bound(values[1], 0, items.Count);
        long stop = Bound(values[2], items.Count, items.Count);
        for (long i = start; i < stop; i++)
        {
            if (PythonEquality.Equal(items[(int)i], values[0], rendering.Budget))
                return i;
        }
        throw TemplateError.Value(
            type == "list"
                ? $"{PythonText.Repr(values[0], rendering.Budget)} is not in list"
                : "tuple.index(x): x not in tuple"
        );
    }

    private static long Bound(object? value, long absent, int length) =>
        value is long bound ? Math.Clamp(bound < 0 ? bound + length : bound, 0, length) : absent;
}
