using System.Numerics;
using Spectral.Training.Chat.Values;

namespace Spectral.Training.Chat.Library;

/// <summary>Attributes and items of values, as Jinja's immutable sandbox finds them.</summary>
internal static class Members
{
    private static readonly HashSet<string> ListChanges =
    [
        "append",
        "clear",
        "pop",
        "reverse",
        "insert",
        "sort",
        "extend",
        "remove",
    ];

    private static readonly HashSet<string> MappingChanges = ["clear", "pop", "popitem", "setdefault", "update"];

    /// <summary>Returns <c>owner.name</c>: the attribute, or else the item of that name.</summary>
    /// <exception cref="TemplateError">The owner is undefined.</exception>
    public static object? Attribute(object? owner, string name)
    {
        if (owner is Undefined undefined)
            throw TemplateError.Of(undefined);
        if (TryAttribute(owner, name, out object? value))
            return value;
        if (owner is Mapping mapping && mapping.TryGet(name, out value))
            return value;
        return Undefined.Member(owner, name);
    }

    /// <summary>Returns <c>owner[key]</c>: the item, or else the attribute of that name.</summary>
    /// <exception cref="TemplateError">The owner is undefined.</exception>
    public static object? Item(object? owner, object? key)
    {
        switch (owner)
        {
            case Undefined undefined:
                throw TemplateError.Of(undefined);
            case Mapping mapping when key is not (List<object?> or Mapping):
                if (mapping.TryGet(key, out object? value))
                    return value;
                break;
            case List<object?>
            or object?[]
            or GroupTuple
            or string
            or Markup
            or IntegerRange when Arithmetic.IsInteger(key):
                if (Arithmetic.Big(key) is var index && BigInteger.Abs(index) > int.MaxValue)
                    break;
                if (Sequences.TryIndex(owner, (long)index, out object? item))
                    return item;
                break;
            default:
                break;
        }
        string? name = (key as Markup)?.Text ?? key as string;
        return name is not null && TryAttribute(owner, name, out object? attribute)
            ? attribute
            : Undefined.Member(owner, name ?? key);
    }

    /// <summary>Finds an attribute that is not an item.</summary>
    public static bool TryAttribute(object? owner, string name, out object? value)
    {
        if (IsPrivate(name))
        {
            value = Undefined.Unsafe(owner, name);
            return true;
        }
        value = null;
        switch (owner)
        {
            case string text:
                return TextMethods.TryGet(text, isMarkup: false, name, out value);
            case Markup markup:
                return TextMethods.TryGet(markup.Text, isMarkup: true, name, out value);
            case Mapping mapping:
                value = MappingChanges.Contains(name)
                    ? Undefined.Unsafe(owner, name)
                    : CollectionMethods.OfMapping(mapping, name);
                return value is not null;
            case List<object?> list:
                value = ListChanges.Contains(name)
                    ? Undefined.Unsafe(owner, name)
                    : CollectionMethods.OfList(list, isTuple: false, name);
                return value is not null;
            case object?[] tuple:
                value = CollectionMethods.OfList(tuple, isTuple: true, name);
                return value is not null;
            case GroupTuple group:
                value = name switch
                {
                    "grouper" => group.Items[0],
                    "list" => group.Items[1],
                    _ => CollectionMethods.OfList(group.Items, isTuple: true, name),
                };
                return value is not null || name == "grouper";
            case NamespaceValue space:
                return space.Attributes.TryGet(name, out value);
            case IntegerRange range:
                value = CollectionMethods.OfRange(range, name);
                return value is not null;
            case Callable callable:
                return callable.TryGet(name, out value);
            default:
                value = Arithmetic.IsNumber(owner) ? CollectionMethods.OfNumber(owner, name) : null;
                return value is not null;
        }
    }

    /// <summary>Returns a function that follows a path of attributes, such as "function.name" or "0.role".</summary>
    public static Func<object?, object?> Path(object? path, object? absent = null)
    {
        object?[] parts = path switch
        {
            null => [],
            string text =>
            [
                .. text.Split('.')
                    .Select(part => part.Length > 0 && part.All(char.IsAsciiDigit) ? long.Parse(part) : (object)part),
            ],
            _ => [path],
        };
        return item =>
        {
            foreach (object? part in parts)
            {
                item = Item(item, part);
                if (absent is not null && item is Undefined)
                    item = absent;
            }
            return item;
        };
    }

    private static bool IsPrivate(string name) =>
        name.Length > 4
        && name.StartsWith("__", StringComparison.Ordinal)
        && name.EndsWith("__", StringComparison.Ordinal);
}
