using System.Numerics;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Jinja's tests, by name.</summary>
internal static class Tests
{
    private static readonly Dictionary<string, Test> All = new()
    {
        ["defined"] = (value, _, _) => value is not Undefined,
        ["undefined"] = (value, _, _) => value is Undefined,
        ["none"] = (value, _, _) => value is null,
        ["boolean"] = (value, _, _) => value is bool,
        ["true"] = (value, _, _) => value is true,
        ["false"] = (value, _, _) => value is false,
        ["integer"] = (value, _, _) => value is long or BigInteger,
        ["float"] = (value, _, _) => value is double,
        ["number"] = (value, _, _) => Arithmetic.IsNumber(value),
        ["string"] = (value, _, _) => value is string or Markup,
        ["mapping"] = (value, _, _) => value is Mapping,
        ["sequence"] = (value, _, _) => value is not MappingView && Sequences.FindLength(value) is not null,
        ["iterable"] = (value, _, _) => value is Generator || Sequences.FindLength(value) is not null,
        ["callable"] = (value, _, _) => value is Callable or Undefined,
        ["escaped"] = (value, _, _) => value is Markup,
        ["odd"] = (value, _, rendering) => IsRemainder(value, 2L, 1L, rendering),
        ["even"] = (value, _, rendering) => IsRemainder(value, 2L, 0L, rendering),
        ["divisibleby"] = (value, arguments, rendering) =>
            IsRemainder(value, One("divisibleby", arguments, "num"), 0L, rendering),
        ["lower"] = (value, _, rendering) =>
            PythonText.Str(value, rendering.Budget) is var text && text.Any(char.IsLower) && !text.Any(char.IsUpper),
        ["upper"] = (value, _, rendering) =>
            PythonText.Str(value, rendering.Budget) is var text && text.Any(char.IsUpper) && !text.Any(char.IsLower),
        ["sameas"] = (value, arguments, _) => IsSame(value, One("sameas", arguments, "other")),
        ["in"] = (value, arguments, rendering) =>
            Sequences.Contains(One("in", arguments, "seq"), value, rendering.Budget),
        ["filter"] = (value, _, _) => value is string name && Filters.Find(name) is not null,
        ["test"] = (value, _, _) => value is string name && Find(name) is not null,
        ["eq"] = IsEqual,
        ["equalto"] = IsEqual,
        ["=="] = IsEqual,
        ["ne"] = IsUnequal,
        ["!="] = IsUnequal,
        ["lt"] = IsLess,
        ["lessthan"] = IsLess,
        ["<"] = IsLess,
        ["le"] = (value, arguments, rendering) => Order(value, "<=", arguments, rendering) <= 0,
        ["<="] = (value, arguments, rendering) => Order(value, "<=", arguments, rendering) <= 0,
        ["gt"] = IsGreater,
        ["greaterthan"] = IsGreater,
        [">"] = IsGreater,
        ["ge"] = (value, arguments, rendering) => Order(value, ">=", arguments, rendering) >= 0,
        [">="] = (value, arguments, rendering) => Order(value, ">=", arguments, rendering) >= 0,
    };

    /// <summary>Finds a test.</summary>
    public static Test? Find(string name) => All.GetValueOrDefault(name);

    /// <summary>Returns a test that a value names, as in select("odd").</summary>
    /// <exception cref="TemplateError">There is none of that name.</exception>
    public static Test Get(object? name) =>
        name is string text && Find(text) is { } test
            ? test
            : throw new TemplateError("TemplateRuntimeError", $"No test named {PythonText.Repr(name, new Budget())}.");

    private static bool IsEqual(object? value, Arguments arguments, Rendering rendering) =>
        PythonEquality.Equal(value, One("eq", arguments, "b"), rendering.Budget);

    private static bool IsUnequal(object? value, Arguments arguments, Rendering rendering) =>
        !IsEqual(value, arguments, rendering);

    private static bool IsLess(object? value, Arguments arguments, Rendering rendering) =>
        Order(value, "<", arguments, rendering) < 0;

    private static bool IsGreater(object? value, Arguments arguments, Rendering rendering) =>
        Order(value, ">", arguments, rendering) > 0;

    private static int? Order(object? value, string sign, Arguments arguments, Rendering rendering) =>
        PythonOrder.Compare(value, One(sign, arguments, "b"), sign, rendering.Budget);

    private static bool IsRemainder(object? value, object? divisor, long wanted, Rendering rendering) =>
        PythonEquality.Equal(Operators.Modulo(value, divisor, rendering.Budget), wanted, rendering.Budget);

    private static bool IsSame(object? a, object? b) =>
        ReferenceEquals(a, b) || (a is bool or long or string && a.Equals(b));

    private static object? One(string test, Arguments arguments, string name) => arguments.Bind(test, 1, name)[0];
}
