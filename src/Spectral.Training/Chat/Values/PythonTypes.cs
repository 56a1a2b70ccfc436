using System.Numerics;

namespace Spectral.Training.Chat.Values;

/// <summary>Python's names of types, as its messages have them.</summary>
internal static class PythonTypes
{
    /// <summary>Returns the name of a value's type.</summary>
    public static string Name(object? value) =>
        value switch
        {
            null => "NoneType",
            bool => "bool",
            long or BigInteger => "int",
            double => "float",
            string => "str",
            Markup => "Markup",
            Undefined => "Undefined",
            List<object?> => "list",
            object?[] or GroupTuple => "tuple",
            Mapping => "dict",
            MappingView view => view.TypeName,
            IntegerRange => "range",
            NamespaceValue => "Namespace",
            Callable callable => callable.TypeName,
            Generator => "generator",
            _ => value.GetType().Name,
        };

    /// <summary>Returns the phrase for an object in messages about its members.</summary>
    public static string Described(object? value) =>
        value switch
        {
            null => "None",
            NamespaceValue => "jinja2.utils.Namespace object",
            Markup => "markupsafe.Markup object",
            Callable { TypeName: "Macro" } => "jinja2.runtime.Macro object",
            _ => Name(value) + " object",
        };
}
