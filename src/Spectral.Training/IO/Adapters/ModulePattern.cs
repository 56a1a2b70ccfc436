using System.Text.RegularExpressions;

namespace Spectral.Training;

/// <summary>
/// Which modules of a model are meant, with PEFT's rules: a list matches a module whose full name is an item or ends with a dot and
/// an item; an expression must match the full name; <c>all-linear</c> is every linear layer but the output head.
/// </summary>
public sealed class ModulePattern
{
    /// <summary>The spelling of "every linear layer but the output head".</summary>
    public const string AllLinear = "all-linear";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly Regex? expression;

    private ModulePattern(IReadOnlyList<string>? names, string? text, Regex? expression)
    {
        Names = names;
        Text = text;
        this.expression = expression;
    }

    /// <summary>The items of a list; null for an expression or all-linear.</summary>
    public IReadOnlyList<string>? Names { get; }

    /// <summary>The expression, or all-linear; null for a list.</summary>
    public string? Text { get; }

    /// <summary>A list of names or ends of names.</summary>
    public static ModulePattern Of(params IEnumerable<string> names) => new([.. names], null, null);

    /// <summary>An expression over full names, or all-linear.</summary>
    /// <exception cref="InputException">It is not a regular expression; <paramref name="where"/> begins the message.</exception>
    public static ModulePattern Parse(string text, string where)
        => string.Equals(text, AllLinear, StringComparison.OrdinalIgnoreCase)
            ? new ModulePattern(null, AllLinear, null)
            : new ModulePattern(null, text, Expression($@"\A(?:{text})\z", text, where));

    /// <summary>Whether the full name is an item of the list.</summary>
    public bool Lists(string module) => Names?.Contains(module) ?? false;

    /// <summary>Whether a module is meant.</summary>
    public bool Matches(string module) => Names is not null
        ? Names.Any(name => module == name || module.EndsWith("." + name, StringComparison.Ordinal))
        : expression is null
            ? module != "lm_head" && !module.EndsWith(".lm_head", StringComparison.Ordinal)
            : Match(expression, module).Success;

    /// <summary>The value of the first expression that matches a module's name or its end after a dot; null if none does.</summary>
    internal static T? First<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, string module, string where) where T : struct
    {
        foreach ((string key, T value) in patterns)
        {
            if (Match(Expression($@"\A(?:.*\.)?(?:{key})\z", key, $"a key of {where}"), module).Success)
                return value;
        }
        return null;
    }

    /// <summary>Compiles an expression of a file; <paramref name="shown"/> is how the file writes it.</summary>
    internal static Regex Expression(string pattern, string shown, string where)
    {
        try
        {
            return new Regex(pattern, RegexOptions.CultureInvariant, Limit);
        }
        catch (Exception e) when (e is ArgumentException or InsufficientExecutionStackException)
        {
            throw new InputException($"{where} is {InputText.Quote(shown)}, expected a regular expression: {InputText.Quote(e.Message)}",
                e);
        }
    }

    /// <summary>Matches an expression of a file, which may be one that takes exponential time.</summary>
    internal static Match Match(Regex expression, string module)
    {
        try
        {
            return expression.Match(module);
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new InputException($"the expression {InputText.Quote(expression.ToString())} takes more than {Limit.TotalSeconds} s "
                + $"on {InputText.Quote(module)}", e);
        }
    }
}
