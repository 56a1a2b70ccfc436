using System.Globalization;

namespace Spectral.Bench.Counting;

/// <summary>What the CPU device counted in one launch of a kernel.</summary>
/// <param name="Kernel">Name of the entry point.</param>
/// <param name="Counters">Counts by name, in the device's order.</param>
/// <param name="Buffers">Those that it touches.</param>
internal sealed record CountedLaunch(
    string Kernel,
    IReadOnlyDictionary<string, long> Counters,
    IReadOnlyList<CountedBuffer> Buffers
)
{
    public const int SectorBytes = 32;

    public const int WarpThreads = 32;

    public long this[string counter] => Counters[counter];

    /// <summary>Distinct bytes of global memory that it reads, and those that it writes.</summary>
    public long DistinctBytes => this["global_read_bytes"] + this["global_write_bytes"];

    /// <summary>Bytes that move once more because a cache of this size has lost them meanwhile.</summary>
    public long BytesAgain(long cacheBytes) => Buffers.Sum(buffer => buffer.BytesBeyond(cacheBytes));

    /// <summary>Times that each byte read is read from L2 in the mean, as if L1 kept nothing.</summary>
    public double ReadsPerByte => Ratio(SectorBytes * (double)this["global_read_sectors"], this["global_read_bytes"]);

    /// <summary>Number of warps of a block.</summary>
    public long WarpsPerBlock => (this["threads"] + WarpThreads - 1) / WarpThreads;

    /// <summary>Operations of matrix instructions.</summary>
    public long TensorOperations => this["mma_operations"] + this["wgmma_operations"];

    /// <summary>All floating-point operations.</summary>
    public long Operations => TensorOperations + this["float_operations"] + this["double_operations"];

    /// <summary>Sectors of a warp instruction in the mean, bulk copies aside.</summary>
    public double SectorsPerRequest =>
        Ratio(
            this["global_read_sectors"]
                + this["global_write_sectors"]
                - this["global_read_bulk_sectors"]
                - this["global_write_bulk_sectors"],
            this["global_read_requests"] + this["global_write_requests"]
        );

    /// <summary>Sectors that better coalescing would save, in percent of all those of warp instructions.</summary>
    public double ExcessPercent =>
        100
        * Ratio(
            this["global_read_excess_sectors"] + this["global_write_excess_sectors"],
            this["global_read_sectors"]
                + this["global_write_sectors"]
                - this["global_read_bulk_sectors"]
                - this["global_write_bulk_sectors"]
        );

    /// <summary>Adds launches up, as if they were one.</summary>
    public static CountedLaunch Sum(string name, IReadOnlyList<CountedLaunch> launches) =>
        new(
            name,
            launches
                .SelectMany(launch => launch.Counters)
                .GroupBy(counter => counter.Key, counter => counter.Value)
                .ToDictionary(group => group.Key, group => group.Sum()),
            Merge(launches.SelectMany(launch => launch.Buffers))
        );

    // Buffers of the same parameter together: the launches of one kernel, each with its own.
    private static CountedBuffer[] Merge(IEnumerable<CountedBuffer> buffers)
    {
        var merged = new Dictionary<int, CountedBuffer>();
        foreach (CountedBuffer buffer in buffers)
        {
            if (!merged.TryGetValue(buffer.Offset, out CountedBuffer? sum))
                merged[buffer.Offset] = sum = new CountedBuffer(buffer.Offset);
            sum.ReadBytes += buffer.ReadBytes;
            sum.WrittenBytes += buffer.WrittenBytes;
            foreach ((long distance, (long read, long written)) in buffer.Again)
            {
                (long Read, long Written) before = sum.Again.GetValueOrDefault(distance);
                sum.Again[distance] = (before.Read + read, before.Written + written);
            }
        }
        return [.. merged.Values];
    }

    private static double Ratio(double amount, double of) => of > 0 ? amount / of : 0;

    /// <summary>
    /// Reads the device's report: for each launch <c>kernel NAME</c>, then <c>COUNTER VALUE</c> lines, then for each
    /// buffer <c>buffer OFFSET</c> with its bytes, and for each distance <c>distance_mib MIB</c> with the bytes that
    /// are used again at it.
    /// </summary>
    public static IReadOnlyList<CountedLaunch> ParseAll(string report)
    {
        var launches = new List<CountedLaunch>();
        Dictionary<string, long> counters = [];
        List<CountedBuffer> buffers = [];
        long distance = 0;
        foreach (string line in report.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int space = line.IndexOf(' ');
            string name = line[..space];
            string text = line[(space + 1)..];
            if (name == "kernel")
            {
                launches.Add(new CountedLaunch(text, counters = [], buffers = []));
                continue;
            }
            long value = long.Parse(text, CultureInfo.InvariantCulture);
            switch (name)
            {
                case "buffer":
                    buffers.Add(new CountedBuffer((int)value));
                    break;
                case "read_bytes":
                    buffers[^1].ReadBytes = value;
                    break;
                case "written_bytes":
                    buffers[^1].WrittenBytes = value;
                    break;
                case "distance_mib":
                    distance = value;
                    break;
                case "read_again_bytes":
                    buffers[^1].Again[distance] = (value, 0);
                    break;
                case "written_again_bytes":
                    buffers[^1].Again[distance] = (buffers[^1].Again[distance].Read, value);
                    break;
                default:
                    counters.Add(name, value);
                    break;
            }
        }
        return launches;
    }
}
