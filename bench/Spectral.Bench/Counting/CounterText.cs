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
    /// One object with an integer for each counter, and for each buffer: <c>argument_N_read_bytes</c>,
    /// <c>argument_N_written_bytes</c>, and what is used again by distance,
    /// <c>argument_N_again_at_MIB_mib</c>.
    /// </summary>
    /// <param name="launch">What was counted.</param>
    /// <param name="argumentAt">The number of the argument at a byte offset.</param>
    public static string Json(CountedLaunch launch, Func<int, int> argumentAt)
    {
        var all = new Dictionary<string, long>(launch.Counters);
        foreach (CountedBuffer buffer in launch.Buffers.Where(buffer => buffer.Offset >= 0))
        {
            string argument = $"argument_{argumentAt(buffer.Offset)}_";
            all[argument + "read_bytes"] = buffer.ReadBytes;
            all[argument + "written_bytes"] = buffer.WrittenBytes;
            foreach ((long distance, (long read, long written)) in buffer.Again)
                all[$"{argument}again_at_{distance}_mib"] = read + written;
        }
        return JsonSerializer.Serialize(all, Indented) + "\n";
    }

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
            Occupancy occupancy = profile.OccupancyOf(launch);
            string registers = occupancy.KnowsRegisters ? "" : ", less if registers do";
            text.Append(
                CultureInfo.InvariantCulture,
                $"bound on {profile.Profile}: {bound.Microseconds:F3} us by {bound.By}; "
                    + $"occupancy {occupancy.Percent:F0} %, limited by {occupancy.By}{registers}; "
                    + $"each byte is read {launch.ReadsPerByte:F1} times, "
                    + $"{launch.BytesAgain(profile.L2Bytes):N0} bytes move again as L2 has lost them\n"
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
                            ["buffers"] = new JsonArray([
                                .. kernel.Sum.Buffers.Select(buffer => Describe(buffer, kernel.Sum.Kernel, rates)),
                            ]),
                        }
                ),
            ]),
        };
    }

    private static JsonNode Describe(CountedBuffer buffer, string kernel, DeviceRates rates) =>
        new JsonObject
        {
            ["buffer"] = buffer.NameIn(kernel),
            ["read_bytes"] = buffer.ReadBytes,
            ["written_bytes"] = buffer.WrittenBytes,
            ["l2_lost_bytes"] = buffer.BytesBeyond(rates.L2Bytes),
            ["again"] = new JsonArray([
                .. buffer.Again.Select(again =>
                    (JsonNode)
                        new JsonObject
                        {
                            ["distance_mib"] = again.Key,
                            ["read_bytes"] = again.Value.Read,
                            ["written_bytes"] = again.Value.Written,
                        }
                ),
            ]),
        };
}
