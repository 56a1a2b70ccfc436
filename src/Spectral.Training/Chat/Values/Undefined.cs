namespace Spectral.Training.Chat.Values;

/// <summary>
/// The value of a name, key or attribute that does not exist: it prints as nothing, is false, has no items and equals
/// only its like. Every other operation raises <see cref="Message"/>.
/// </summary>
internal sealed class Undefined(string message, bool isUnsafe = false)
{
    /// <summary>What is missing.</summary>
    public string Message { get; } = message;

    /// <summary>Whether the attribute exists in Python, but a template may not use it.</summary>
    public bool IsUnsafe { get; } = isUnsafe;

    /// <summary>The value of a name without a value.</summary>
    public static Undefined Variable(string name) => new($"{PythonText.Quote(name)} is undefined");

    /// <summary>The value of a key or attribute that an object does not have.</summary>
    public static Undefined Member(object? owner, object? name)
    {
        string type = PythonTypes.Described(owner);
        return name is string text
            ? new Undefined($"{PythonText.Quote(type)} has no attribute {PythonText.Quote(text)}")
            : new Undefined($"{type} has no element {PythonText.Repr(name, new Budget())}");
    }

    /// <summary>The value of an attribute that a template may not use.</summary>
    public static Undefined Unsafe(object? owner, string name) =>
        new(
            $"access to attribute {PythonText.Quote(name)} of {PythonText.Quote(PythonTypes.Name(owner))} object is "
                + "unsafe.",
            isUnsafe: true
        );
}
