using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Spectral.Bench.Counting;

/// <summary>The counters of a launch for people and for programs.</summary>
internal static class CounterText
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>An aligned line for each counter, without those of instructions that do not occur.</summary>
    public static string Lines(CountedLaunch launch)
    {
        KeyValuePair<string, long>[] shown =
        [
            .. launch.Counters.Where(counter =>
                counter.Value != 0 || !counter.Key.EndsWith("_instructions", StringComparison.Ordinal)
            ),
        ];
        string[] values = [.. shown.Select(counter => counter.Value.ToString("N0", CultureInfo.InvariantCulture))];
        int names = shown.Max(counter => counter.Key.Length);
        int digits = values.Max(value => value.Length);
        var text = new StringBuilder($"kernel {launch.Kernel}\n");
        foreach ((KeyValuePair<string, long> counter, string value) in shown.Zip(values))
            text.Append($"{counter.Key.PadRight(names)}  {value.PadLeft(digits)}\n");
        return text.ToString();
    }

    /// <summary>One object with an integer for each counter.</summary>
    public static string Json(CountedLaunch launch) => JsonSerializer.Serialize(launch.Counters, Indented) + "\n";
}
