namespace Spectral.Training.Chat.Values;

/// <summary>
/// An error that Python would raise while a template renders. The template adds the place and hides this type.
/// </summary>
/// <param name="kind">Python's name of the exception, such as TypeError.</param>
/// <param name="message">Python's message.</param>
internal sealed class TemplateError(string kind, string message) : Exception(message)
{
    /// <summary>Python's name of the exception.</summary>
    public string Kind { get; } = kind;

    /// <summary>The error of an operation that the type of a value does not have.</summary>
    public static TemplateError Type(string message) => new("TypeError", message);

    /// <summary>The error of a value of the right type that is out of range.</summary>
    public static TemplateError Value(string message) => new("ValueError", message);

    /// <summary>The error of a template that would take too much time, memory or depth.</summary>
    public static TemplateError Limit(string message) => new("LimitError", message);

    /// <summary>The error of a filter or test that got arguments it does not take.</summary>
    public static TemplateError Argument(string message) => new("FilterArgumentError", message);

    /// <summary>The error of an operation on an undefined value.</summary>
    public static TemplateError Of(Undefined value) =>
        new(value.IsUnsafe ? "SecurityError" : "UndefinedError", value.Message);
}
