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
            var bound = Bound.Of(profile, [launch], 0);
            string fits = profile.FitsL2(launch) ? "all of it fits L2" : "not all of it fits L2";
            text.Append(
                CultureInfo.InvariantCulture,
                $"bound on {profile.Profile}: {bound.Microseconds:F3} us by {bound.By}; "
                    + $"occupancy at most {profile.OccupancyPercent(launch):F0} %, less if registers limit it; "
                    + $"each byte is read {launch.ReadsPerByte:F1} times, {fits}\n"
            );
        }
        return text.ToString();
    }

    /// <summary>All variants with their kernels, counters and bounds, for each GPU.</summary>
    public static string Json(IEnumerable<(DeviceRates Rates, string Target, List<CountedVariant> Variants)> counted)
    {
        var root = new JsonObject
        {
            ["schema"] = "spectral-count/1",
            ["profiles"] = new JsonArray([
                .. counted.Select(of =>
                    (JsonNode)
                        new JsonObject
                        {
                            ["profile"] = of.Rates.Profile.ToString(),
                            ["ptx"] = of.Target,
                            ["variants"] = new JsonArray([
                                .. of.Variants.Select(variant => Describe(variant, of.Rates)),
                            ]),
                        }
                ),
            ]),
        };
        return root.ToJsonString(Indented) + "\n";
    }

    private static JsonNode Describe(CountedVariant counted, DeviceRates rates)
    {
        Bound bound = counted.BoundOn(rates);
        return new JsonObject
        {
            ["case"] = counted.Case,
            ["target"] = counted.Target,
            ["shape"] = counted.Shape,
            ["variant"] = counted.Variant,
            ["bytes"] = counted.Bytes,
            ["flops"] = counted.Flops,
            ["is_whole"] = counted.IsWhole,
            ["bound_us"] = bound.Microseconds,
            ["bound_by"] = bound.By,
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
    }

    /// <summary>One object with an integer for each counter.</summary>
    public static string Json(CountedLaunch launch) => JsonSerializer.Serialize(launch.Counters, Indented) + "\n";
}
