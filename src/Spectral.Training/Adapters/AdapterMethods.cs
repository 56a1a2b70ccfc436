using Spectral.Generators;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>Finds adapter methods by name, both those of this library and those that a program registers.</summary>
/// <example>
/// <code>
/// AdapterMethods.Register(new Sum()); // once, before adapters are attached or loaded
/// AdapterMethod method = AdapterMethods.Find("sum");
///
/// sealed class Sum : AdapterMethod
/// {
///     public override string Name => "sum";
///     public override string Formula => "W + B·A";
///     public override string Source => "this program";
///     public override string Use => "Shows what a method has to state.";
///
///     public override AdapterForm Form(AdapterBuilder layer) =>
///         new()
///         {
///             Terms =
///             [
///                 new LowRankTerm(
///                     layer.Trained("sum_B", (layer.Out, layer.Rank), Start.Zeros),
///                     layer.Trained("sum_A", (layer.Rank, layer.In), Start.KaimingUniform)
///                 ),
///             ],
///         };
/// }
/// </code>
/// </example>
public static partial class AdapterMethods
{
    private static readonly Lock Registering = new();

    // Replaced as a whole, so that readers need no lock.
    private static volatile IReadOnlyList<AdapterMethod> _all = [.. Sorted(BuiltIn())];

    /// <summary>All known methods, sorted by name.</summary>
    public static IReadOnlyList<AdapterMethod> All => _all;

    /// <summary>
    /// Registers a method of the calling program. <see cref="Find"/> and everything that loads adapters know it from
    /// then on, and folders that are saved with it name it.
    /// </summary>
    /// <remarks>Can be called from any thread. A registered method stays for the life of the process.</remarks>
    /// <param name="method">The method; its name must be new.</param>
    /// <exception cref="ArgumentException">Another method has that name; the message names both.</exception>
    public static void Register(AdapterMethod method)
    {
        lock (Registering)
        {
            if (_all.FirstOrDefault(known => known.Name == method.Name) is { } namesake)
            {
                throw new ArgumentException(
                    $"adapter method '{method.Name}' ({method.GetType()}): {namesake.GetType()} has that "
                        + "name, expected one of its own",
                    nameof(method)
                );
            }
            _all = [.. Sorted(_all.Append(method))];
        }
    }

    /// <summary>
    /// Finds the method called <paramref name="name"/>, as on the command line: one of <see cref="All"/>, or
    /// <c>map(NAME)</c> around one of them.
    /// </summary>
    /// <exception cref="InputException">There is no such method; the message lists the known ones.</exception>
    public static AdapterMethod Find(string name) =>
        Known(name)
        ?? throw new InputException(
            $"unknown adapter '{name}'; known: {string.Join(", ", All.Select(method => method.Name))}, and map(NAME)"
        );

    /// <summary>Returns whether <see cref="Find"/> knows a method of a name.</summary>
    /// <param name="name">The name as on the command line.</param>
    public static bool Has(string name) => Known(name) is not null;

    /// <summary>Returns the method of a name, NAME or OUTER(INNER); null: there is none.</summary>
    internal static AdapterMethod? Known(string name)
    {
        int open = name.IndexOf('(', StringComparison.Ordinal);
        if (open < 0 || name[^1] != ')')
            return Plain(name);
        return Plain(name[(open + 1)..^1]) is { } inner ? Plain(name[..open])?.Around(inner) : null;
    }

    private static AdapterMethod? Plain(string name) => All.FirstOrDefault(method => method.Name == name);

    [NewOfEachSubclass]
    private static partial AdapterMethod[] BuiltIn();

    private static IEnumerable<AdapterMethod> Sorted(IEnumerable<AdapterMethod> methods) =>
        methods.OrderBy(method => method.Name, StringComparer.Ordinal);
}
