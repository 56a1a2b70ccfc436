namespace Spectral.Bench.Counting;

/// <summary>
/// The shortest time that counted work can take on a GPU: no part of it can be busy for longer than the whole, and no
/// chain of dependent instructions can be shorter than it is. It is a bound, never a time: nothing else is waited for,
/// caches lose nothing that fits, and the parts overlap perfectly.
/// </summary>
/// <param name="Microseconds">The bound.</param>
/// <param name="By">The part that is busy all that time.</param>
internal readonly record struct Bound(double Microseconds, string By)
{
    /// <summary>Computes the bound of launches that run one after the other.</summary>
    /// <param name="rates">The GPU.</param>
    /// <param name="launches">What was counted.</param>
    /// <param name="bytes">
    /// Bytes that the work must move at least. Each launch moves its own distinct ones, and again those that L2 has
    /// lost when they are used again.
    /// </param>
    /// <param name="scale">Times as much work, in as many more blocks.</param>
    public static Bound Of(DeviceRates rates, IReadOnlyList<CountedLaunch> launches, double bytes, double scale = 1)
    {
        // Of bytes alone the small size does not tell the large one.
        double moved = scale == 1 ? launches.Max(launch => launch.DistinctBytes + launch.BytesAgain(rates.L2Bytes)) : 0;
        double memory = Math.Max(bytes, moved) / rates.MemoryGBs / 1e3;
        double onChip = 0;
        var busy = new Dictionary<string, double>();
        foreach (CountedLaunch launch in launches)
        {
            (string by, double microseconds) = Parts(rates, launch, scale).MaxBy(part => part.Microseconds);
            onChip += microseconds;
            busy[by] = busy.GetValueOrDefault(by) + microseconds;
        }
        return memory >= onChip ? new Bound(memory, "hbm") : new Bound(onChip, busy.MaxBy(part => part.Value).Key);
    }

    /// <summary>Times of the parts of a multiprocessor, the one with the most blocks.</summary>
    private static IEnumerable<(string By, double Microseconds)> Parts(
        DeviceRates rates,
        CountedLaunch launch,
        double scale
    )
    {
        double blocks = scale * launch["blocks"];
        double work = scale * Math.Ceiling(blocks / rates.Multiprocessors) / blocks;
        double clocks = 1e3 * rates.ClockGHz; // per microsecond
        double tensorPerClock = 1e3 * rates.TensorTflops / rates.ClockGHz / rates.Multiprocessors;
        double Of(double amount, double perClock) => work * amount / perClock / clocks;
        long sectors = launch["global_read_sectors"] + launch["global_write_sectors"];
        yield return ("l2", Of(CountedLaunch.SectorBytes * (double)sectors, DeviceRates.L2BytesPerClock));
        yield return (
            "shared",
            Of(
                DeviceRates.SharedBytes * (double)launch["shared_wavefronts"] + launch["async_shared_bytes"],
                DeviceRates.SharedBytes
            )
        );
        yield return ("issue", Of(launch["instructions"], DeviceRates.IssuedPerClock));
        // A warp issues one instruction per clock at most, and blocks that find no room wait for others to end.
        double waves = Math.Ceiling(blocks / rates.Multiprocessors / rates.OccupancyOf(launch).Blocks);
        double warps = launch["blocks"] * launch.WarpsPerBlock;
        double ofWarp = new[]
        {
            launch["instructions"],
            launch["float_instructions"] * DeviceRates.ClocksOfWarp(rates.F32Lanes),
            launch["double_instructions"] * DeviceRates.ClocksOfWarp(rates.F64Lanes),
            launch["special_instructions"] * DeviceRates.ClocksOfWarp(DeviceRates.SpecialLanes),
        }.Max();
        yield return ("warp", waves * ofWarp / warps / clocks);
        double chain = Math.Max(launch["longest_chain_clocks"], waves * launch["chain_clocks"] / launch["blocks"]);
        yield return ("chain", chain / clocks);
        yield return ("tensor", Of(launch.TensorOperations, tensorPerClock));
        yield return ("f32", Of(32.0 * launch["float_instructions"], rates.F32Lanes));
        yield return ("f64", Of(32.0 * launch["double_instructions"], rates.F64Lanes));
        yield return ("mufu", Of(32.0 * launch["special_instructions"], DeviceRates.SpecialLanes));
    }
}
