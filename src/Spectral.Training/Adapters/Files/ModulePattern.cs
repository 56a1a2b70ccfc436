using System.Runtime.CompilerServices;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Which modules of a model are meant, with PEFT's rules: a list matches a module whose full name is an item or ends
/// with a dot and an item; an expression must match the full name; <c>all-linear</c> is every linear layer but the
/// output head.
/// </summary>
public sealed class ModulePattern
{
    /// <summary>The spelling of "every linear layer but the output head".</summary>
    public const string AllLinear = "all-linear";

    /// <summary>Entries that a pattern of ranks or alphas may have: each module asks all of them.</summary>
    internal const int MostEntries = 4096;

    // Compiled once for all the modules that ask; a settings record passes its list on to its copies.
    private static readonly ConditionalWeakTable<object, NameEnding[]> Compiled = [];

    private readonly ModuleExpression? _expression;
    private readonly HashSet<string> _listed;

    private ModulePattern(IReadOnlyList<string>? names, string? text, ModuleExpression? expression)
    {
        Names = names;
        Text = text;
        _expression = expression;
        _listed = new HashSet<string>(names ?? [], StringComparer.Ordinal);
    }

    /// <summary>The items of a list; null for an expression or all-linear.</summary>
    public IReadOnlyList<string>? Names { get; }

    /// <summary>The expression, or all-linear; null for a list.</summary>
    public string? Text { get; }

    /// <summary>A list of names or ends of names.</summary>
    public static ModulePattern Of(params IEnumerable<string> names) => new([.. names], null, null);

    /// <summary>An expression over full names, or all-linear.</summary>
    /// <exception cref="InputException">It is not a regular expression; <paramref name="where"/> begins the
    /// message.</exception>
    public static ModulePattern Parse(string text, string where) =>
        string.Equals(text, AllLinear, StringComparison.OrdinalIgnoreCase)
            ? new ModulePattern(null, AllLinear, null)
            : new ModulePattern(null, text, new ModuleExpression($@"\A(?:{text})\z", text, where, mayBacktrack: true));

    /// <summary>Whether the full name is an item of the list.</summary>
    public bool Lists(string module) => _listed.Contains(module);

    /// <summary>Whether a module is meant.</summary>
    public bool Matches(string module)
    {
        if (Names is not null)
            return ListsAnEndOf(module);
        if (_expression is not null)
            return _expression.Match(module).Success;
        return module is not (ModelTensors.HeadModule or ModelTensors.EmbeddingModule)
            && !module.EndsWith(".lm_head", StringComparison.Ordinal);
    }

    /// <summary>
    /// The first item of a list, or the expression, that means none of some modules; null if each means one.
    /// </summary>
    /// <param name="modules">The modules; null: unknown.</param>
    internal string? Unmatched(IEnumerable<string>? modules)
    {
        if (modules is null)
            return null;
        if (Names is null)
            return modules.Any(Matches) ? null : Text;
        return Names.FirstOrDefault(name => !modules.Any(Of(name).Matches));
    }

    /// <summary>
    /// The value of the first expression that matches a module's name or its end after a dot; null if none does.
    /// </summary>
    /// <exception cref="InputException">One is no regular expression, or takes backtracking.</exception>
    internal static T? First<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, string module, string where)
        where T : struct
    {
        if (patterns.Count == 0)
            return null;
        NameEnding[] endings = Compiled.GetValue(patterns, _ => Compile([.. patterns.Select(pair => pair.Key)], where));
        int found = Array.FindIndex(endings, ending => ending.Matches(module));
        return found < 0 ? null : patterns[found].Value;
    }

    /// <summary>The first expression that matches none of some modules; null if each matches one.</summary>
    /// <exception cref="InputException">One is no regular expression, or takes backtracking.</exception>
    internal static string? Unmatched<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, IEnumerable<string> modules)
        where T : struct =>
        patterns
            .Select(pattern => pattern.Key)
            .FirstOrDefault(key => !modules.Any(new NameEnding(key, "a pattern of layers").Matches));

    private static NameEnding[] Compile(IReadOnlyList<string> keys, string where) =>
        keys.Count <= MostEntries
            ? [.. keys.Select(key => new NameEnding(key, where))]
            : throw new InputException($"{where} has {keys.Count} entries, expected at most {MostEntries}");

    private bool ListsAnEndOf(string module)
    {
        HashSet<string>.AlternateLookup<ReadOnlySpan<char>> names = _listed.GetAlternateLookup<ReadOnlySpan<char>>();
        for (
            int dot = -1;
            dot < module.Length;
            dot = module.IndexOf('.', dot + 1) is >= 0 and int next ? next : module.Length
        )
        {
            if (names.Contains(module.AsSpan(dot + 1)))
                return true;
        }
        return false;
    }
}
