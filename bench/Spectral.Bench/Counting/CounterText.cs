using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Spectral.Bench.Counting;

/// <summary>The counters of a launch for people and for programs.</summary>
internal static class CounterText
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>
    /// An aligned line for each counter, without those of instructions that do not occur, and a bound for each GPU.
    /// </summary>
    public static string Lines(CountedLaunch launch, IReadOnlyList<DeviceRates> profiles)
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
        foreach (DeviceRates profile in profiles)
        {
            Bound bound = Bound.Of(profile, [launch], 0);
            text.Append(
                CultureInfo.InvariantCulture,
                $"bound on {profile.Name}: {bound.Microseconds:F3} us, by {bound.By}\n"
            );
        }
        return text.ToString();
    }

    /// <summary>All variants with their kernels, counters, and bounds in microseconds on every GPU.</summary>
    public static string Json(string target, IEnumerable<CountedVariant> variants)
    {
        var root = new JsonObject
        {
            ["schema"] = "spectral-count/1",
            ["target"] = target,
            ["variants"] = new JsonArray([.. variants.Select(Describe)]),
        };
        return root.ToJsonString(Indented) + "\n";
    }

    private static JsonNode Describe(CountedVariant counted) =>
        new JsonObject
        {
            ["case"] = counted.Case,
            ["target"] = counted.Target,
            ["shape"] = counted.Shape,
            ["variant"] = counted.Variant,
            ["bytes"] = counted.Bytes,
            ["flops"] = counted.Flops,
            ["is_whole"] = counted.IsWhole,
            ["bounds"] = new JsonArray([
                .. DeviceRates.All.Select(profile =>
                {
                    Bound bound = counted.BoundOn(profile);
                    return (JsonNode)
                        new JsonObject
                        {
                            ["profile"] = profile.Name,
                            ["us"] = bound.Microseconds,
                            ["by"] = bound.By,
                        };
                }),
            ]),
            ["kernels"] = new JsonArray([
                .. counted.ByKernel.Select(kernel =>
                    (JsonNode)
                        new JsonObject
                        {
                            ["kernel"] = kernel.Sum.Kernel,
                            ["launches"] = kernel.Count,
                            ["counters"] = JsonSerializer.SerializeToNode(kernel.Sum.Counters),
                        }
                ),
            ]),
        };

    /// <summary>One object with an integer for each counter.</summary>
    public static string Json(CountedLaunch launch) => JsonSerializer.Serialize(launch.Counters, Indented) + "\n";
}
