using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>
/// PEFT's feedforward_modules: a list of endings of names, which need not follow a dot, or an expression that matches a
/// full name.
/// </summary>
public sealed class FeedForwardModules
{
    private readonly ModuleExpression? _expression;

    private FeedForwardModules(IReadOnlyList<string>? endings, ModuleExpression? expression, string? text)
    {
        Endings = endings;
        Text = text;
        _expression = expression;
    }

    /// <summary>The endings of names; null for an expression.</summary>
    public IReadOnlyList<string>? Endings { get; }

    /// <summary>The text of the expression; null for a list.</summary>
    public string? Text { get; }

    /// <summary>Creates a list of endings of names.</summary>
    public static FeedForwardModules Of(IReadOnlyList<string> endings) => new(endings, null, null);

    /// <summary>Parses an expression that matches full names.</summary>
    /// <exception cref="InputException">
    /// The text is not a regular expression; <paramref name="where"/> begins the message.
    /// </exception>
    public static FeedForwardModules Parse(string text, string where) =>
        new(null, new ModuleExpression($@"\A(?:{text})\z", text, where, mayBacktrack: true), text);

    /// <summary>Returns whether a module is listed or matched.</summary>
    public bool Matches(string module) =>
        _expression?.Match(module).Success ?? Endings!.Any(ending => module.EndsWith(ending, StringComparison.Ordinal));
}
