using System.Runtime.CompilerServices;
using Spectral.Training.IO;
using Spectral.Training.Models;

namespace Spectral.Training.Adapters.Files;

/// <summary>
/// Selects modules of a model by PEFT's rules. A list matches a module whose full name is an item or ends with a dot
/// and an item. An expression has to match the full name. <c>all-linear</c> is every linear layer except the output
/// head.
/// </summary>
public sealed class ModulePattern
{
    /// <summary>The text that stands for every linear layer except the output head.</summary>
    public const string AllLinear = "all-linear";

    /// <summary>
    /// The largest number of entries in a pattern of ranks or alphas. Each module is matched against all of them.
    /// </summary>
    internal const int MostEntries = 4096;

    // Compiled once for all modules. Copies of an options record share its list, which is the key here.
    private static readonly ConditionalWeakTable<object, NameEnding[]> Compiled = [];

    private static readonly ModulePattern Heads = Of(ModelFamilies.All.Select(family => family.Head));

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

    /// <summary>Creates a list of names or ends of names.</summary>
    public static ModulePattern Of(params IEnumerable<string> names) => new([.. names], null, null);

    /// <summary>Parses an expression over full names, or all-linear.</summary>
    /// <exception cref="InputException">The text is not a regular expression; <paramref name="where"/> begins the
    /// message.</exception>
    public static ModulePattern Parse(string text, string where) =>
        string.Equals(text, AllLinear, StringComparison.OrdinalIgnoreCase)
            ? new ModulePattern(null, AllLinear, null)
            : new ModulePattern(null, text, new ModuleExpression($@"\A(?:{text})\z", text, where, mayBacktrack: true));

    /// <summary>Returns whether a full name is an item of the list.</summary>
    public bool Lists(string module) => _listed.Contains(module);

    /// <summary>Returns whether a module matches.</summary>
    public bool Matches(string module)
    {
        if (Names is not null)
            return ListsAnEndOf(module);
        if (_expression is not null)
            return _expression.Match(module).Success;
        return !ModelFamilies.IsEmbedding(module) && !Heads.Matches(module);
    }

    /// <summary>
    /// Returns the first item of a list, or the expression, that matches none of some modules; null if each matches
    /// one.
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
    /// Returns the value of the first expression that matches a module's name, or the end of its name after a dot; null
    /// if none does.
    /// </summary>
    /// <exception cref="InputException">An entry is not a regular expression, or requires backtracking.</exception>
    internal static T? First<T>(IReadOnlyList<KeyValuePair<string, T>> patterns, string module, string where)
        where T : struct
    {
        if (patterns.Count == 0)
            return null;
        NameEnding[] endings = Compiled.GetValue(patterns, _ => Compile([.. patterns.Select(pair => pair.Key)], where));
        int found = Array.FindIndex(endings, ending => ending.Matches(module));
        return found < 0 ? null : patterns[found].Value;
    }

    /// <summary>Returns the first expression that matches none of some modules; null if each matches one.</summary>
    /// <exception cref="InputException">An entry is not a regular expression, or requires backtracking.</exception>
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
