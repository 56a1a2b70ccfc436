namespace Spectral.Bench;

/// <summary>One shape of a case with its buffers and the variants that are timed against each other on them.</summary>
internal sealed class Scenario : IDisposable
{
    private readonly List<IDisposable> _owned = [];

    /// <summary>Sets of buffers that calls go round on.</summary>
    public int Copies { get; init; } = 1;

    public List<Variant> Variants { get; } = [];

    /// <summary>Keeps an object until the scenario ends.</summary>
    public T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
            _owned[i].Dispose();
    }
}

/// <summary>A scenario by name; its buffers are made when it is run.</summary>
/// <param name="Shape">Sizes, as the table shows them.</param>
/// <param name="Prepare">Makes the buffers.</param>
internal sealed record Plan(string Shape, Func<Scenario> Prepare);

/// <summary>
/// A question that the benchmark answers, over a list of shapes. Every subclass is found by reflection, so a new case
/// is one file.
/// </summary>
internal abstract class BenchCase
{
    /// <summary>As <c>--filter</c> and the reports have it.</summary>
    public abstract string Name { get; }

    /// <summary>The number of its target in docs/performance.md; 0 for none.</summary>
    public abstract int Target { get; }

    public abstract string Description { get; }

    /// <summary>Whether it exists for <c>spectral-bench count</c> alone, and nothing of it is timed.</summary>
    public virtual bool IsOnlyCounted => false;

    public abstract IEnumerable<Plan> Plans(Machine machine);

    /// <summary>All cases, by target.</summary>
    public static IReadOnlyList<BenchCase> All { get; } =
    [
        .. typeof(BenchCase)
            .Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(BenchCase)) && !type.IsAbstract)
            .Select(type => (BenchCase)Activator.CreateInstance(type)!)
            .OrderBy(found => found.Target)
            .ThenBy(found => found.Name, StringComparer.Ordinal),
    ];

    /// <summary>The cases and plans whose 'case shape' contains one of the texts; all if there is none.</summary>
    /// <param name="machine">What to run on, and how much.</param>
    /// <param name="filter">Texts separated by commas.</param>
    /// <exception cref="UsageException">Nothing matches.</exception>
    public static (BenchCase Case, Plan Plan)[] Choose(Machine machine, string filter)
    {
        string[] texts = filter.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        (BenchCase Case, Plan Plan)[] chosen =
        [
            .. from found in All
            where machine.Extent == Extent.Counted || !found.IsOnlyCounted
            from plan in found.Plans(machine)
            where
                texts.Length == 0
                || texts.Any(text => $"{found.Name} {plan.Shape}".Contains(text, StringComparison.OrdinalIgnoreCase))
            select (found, plan),
        ];
        return chosen.Length > 0
            ? chosen
            : throw new UsageException($"--filter \"{filter}\" matches nothing; --list shows what there is");
    }
}
