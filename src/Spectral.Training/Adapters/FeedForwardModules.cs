using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>
/// PEFT's feedforward_modules: a list of ends of names, not only after a dot, or an expression that matches a full
/// name.
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

    /// <summary>The list; null for an expression.</summary>
    public IReadOnlyList<string>? Endings { get; }

    /// <summary>The expression; null for a list.</summary>
    public string? Text { get; }

    /// <summary>A list.</summary>
    public static FeedForwardModules Of(IReadOnlyList<string> endings) => new(endings, null, null);

    /// <summary>An expression.</summary>
    /// <exception cref="InputException">
    /// It is no regular expression; <paramref name="where"/> begins the message.
    /// </exception>
    public static FeedForwardModules Parse(string text, string where) =>
        new(null, new ModuleExpression($@"\A(?:{text})\z", text, where, mayBacktrack: true), text);

    /// <summary>Whether a module is meant.</summary>
    public bool Matches(string module) =>
        _expression?.Match(module).Success ?? Endings!.Any(ending => module.EndsWith(ending, StringComparison.Ordinal));
}
