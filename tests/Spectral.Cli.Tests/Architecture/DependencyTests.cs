namespace Spectral.Cli.Tests.Architecture;

/// <summary>Holds the directions in which the namespaces of <c>src</c> depend on one another.</summary>
public sealed class DependencyTests
{
    /// <summary>Namespaces that may name each other, and why. All others depend in one direction.</summary>
    private static readonly (string One, string Other, string Reason)[] TwoWay =
    [
        (
            "Spectral.Training.Adapters",
            "Spectral.Training.Adapters.Files",
            "files speak of methods and their settings, and an adapter is refused that its files could not keep whole"
        ),
    ];

    /// <summary>The types that call native code, and what.</summary>
    private static readonly (string Type, string What)[] Native =
    [
        ("Spectral.Kernels.Blas", "the table of functions that the BLAS library of the device exports"),
        ("Spectral.Kernels.Collectives.NcclApi", "NCCL, or the same functions over MPI"),
        ("Spectral.Kernels.Driver.DriverApi", "the CUDA driver, or the CPU device in its place"),
        ("Spectral.Kernels.Driver.LibraryFunctions", "the function that starts such a library, to see whether it runs"),
        ("Spectral.Kernels.Driver.RehearsedCalls", "nothing: it lists what is called in place of such functions"),
        ("Spectral.Kernels.LibraryHandle", "the functions of such a library that make and free its handle"),
        ("Spectral.Kernels.Solver", "the table of functions that the solver library of the device exports"),
        ("Spectral.Training.IO.DirectorySync", "fsync of a directory, which .NET has no call for"),
    ];

    private SourceReferences _sources = null!;

    [OneTimeSetUp]
    public void ReadSources() => _sources = SourceReferences.OfRepository();

    [Test]
    public void ProjectsDependInOneDirection()
    {
        string[] order = ["Spectral.Kernels", "Spectral.Training", "Spectral.Cli"];
        Assert.That(
            _sources.All.Where(reference => Rank(reference.To) > Rank(reference.From)).Select(Text),
            Is.Empty,
            "the command line depends on training, training on the kernels, never the other way round"
        );

        int Rank(string space) =>
            Array.FindIndex(order, project => space == project || space.StartsWith(project + '.'));
    }

    [Test]
    public void NamespacesDependInOneDirection()
    {
        ILookup<(string From, string To), SourceReference> edges = _sources.All.ToLookup(reference =>
            (reference.From, reference.To)
        );
        Dictionary<(string, string), string> found = edges
            .Select(edge => edge.Key)
            .Where(edge => string.CompareOrdinal(edge.From, edge.To) < 0 && edges.Contains((edge.To, edge.From)))
            .ToDictionary(pair => pair, pair => Describe(edges[pair], edges[(pair.To, pair.From)]));
        var allowed = TwoWay.Select(pair => (pair.One, pair.Other)).ToHashSet();
        Assert.Multiple(() =>
        {
            Assert.That(
                found.Where(pair => !allowed.Contains(pair.Key)).Select(pair => pair.Value),
                Is.Empty,
                "two namespaces that name each other"
            );
            Assert.That(allowed.Except(found.Keys), Is.Empty, "allowed to name each other, and no longer do");
        });
    }

    [Test]
    public void OnlyKnownTypesCallNativeCode() =>
        Assert.That(
            _sources.CallersOfNativeCode().Distinct().Order(StringComparer.Ordinal),
            Is.EqualTo(Native.Select(entry => entry.Type))
        );

    /// <summary>
    /// Both directions of a pair by the types that name others; the one with fewer is likely the wrong one.
    /// </summary>
    private static string Describe(IEnumerable<SourceReference> there, IEnumerable<SourceReference> back)
    {
        SourceReference[][] both =
        [
            [.. there],
            [.. back],
        ];
        Array.Sort(both, (a, b) => a.Length.CompareTo(b.Length));
        return string.Join("; ", both[0].Select(Text)) + $" (the other way round: {both[1].Length} references)";
    }

    private static string Text(SourceReference reference) =>
        $"{reference.From}.{reference.Type} names {reference.To}.{reference.Named}";
}
