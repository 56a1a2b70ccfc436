using System.Globalization;

namespace Spectral.Bench.Counting;

/// <summary>What the CPU device counted in one launch of a kernel.</summary>
/// <param name="Kernel">Name of the entry point.</param>
/// <param name="Counters">Counts by name, in the device's order.</param>
internal sealed record CountedLaunch(string Kernel, IReadOnlyDictionary<string, long> Counters)
{
    public long this[string counter] => Counters[counter];

    /// <summary>Reads the device's report: for each launch <c>kernel NAME</c>, then <c>COUNTER VALUE</c> lines.</summary>
    public static IReadOnlyList<CountedLaunch> ParseAll(string report)
    {
        var launches = new List<CountedLaunch>();
        Dictionary<string, long> counters = [];
        foreach (string line in report.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int space = line.IndexOf(' ');
            string name = line[..space];
            string value = line[(space + 1)..];
            if (name == "kernel")
                launches.Add(new CountedLaunch(value, counters = []));
            else
                counters.Add(name, long.Parse(value, CultureInfo.InvariantCulture));
        }
        return launches;
    }
}
