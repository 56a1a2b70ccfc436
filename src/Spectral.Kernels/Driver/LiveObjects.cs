using System.Collections.Concurrent;

namespace Spectral.Kernels.Driver;

/// <summary>Counts the native objects that are alive, by kind, so that a test can check that none leaked.</summary>
public static class LiveObjects
{
    private static readonly ConcurrentDictionary<string, int> Counts = new();

    /// <summary>
    /// Returns the number of objects alive now by kind (context, module, stream, event, memory, tensor, …); kinds with
    /// none are left out.
    /// </summary>
    public static IReadOnlyDictionary<string, int> Snapshot() => Counts.Where(pair => pair.Value != 0).ToDictionary();

    internal static void Add(string kind, int change) =>
        Counts.AddOrUpdate(kind, static (_, change) => change, static (_, old, change) => old + change, change);
}
