using Spectral.Kernels;
using Spectral.Kernels.Driver;

namespace Spectral.Bench.Counting;

/// <summary>
/// What a GPU does at best, for bounds in time. Multiprocessors, clock, memory and caches are those that the CPU device
/// reports when it stands for the GPU. Dense BF16 rates are those of NVIDIA's data sheets and architecture white papers
/// (A100 SXM, GeForce RTX 4090, H100 and H200 SXM, HGX B200), and rates per multiprocessor and clock those of the CUDA
/// C++ Programming Guide, "Arithmetic Instructions".
/// </summary>
internal sealed unsafe class DeviceRates
{
    /// <summary>Instructions that the four schedulers of a multiprocessor issue per clock.</summary>
    public const int IssuedPerClock = 4;

    /// <summary>Approximations (reciprocal, exponential and so on) per clock of a multiprocessor.</summary>
    public const int SpecialLanes = 16;

    /// <summary>Bytes that shared memory moves per clock of a multiprocessor: a wavefront.</summary>
    public const int SharedBytes = 128;

    /// <summary>
    /// Bytes that a multiprocessor takes from L2 per clock at most. The 5,120 of a whole A100 (its white paper) are 47
    /// for each of its multiprocessors.
    /// </summary>
    public const int L2BytesPerClock = 64;

    private const int ClockKhz = 13; // CUdevice_attribute
    private const int MemoryClockKhz = 36;
    private const int MemoryBusBits = 37;
    private const int ThreadsOfMultiprocessor = 39;
    private const int SharedOfMultiprocessor = 81;
    private const int BlocksOfMultiprocessor = 106;
    private const int SharedReserved = 111;
    private const int RegistersOfMultiprocessor = 82;
    private const int Partitions = 4; // of a multiprocessor: each has a scheduler and warps of its own
    private const int SharedUnit = 128; // bytes that shared memory is given out in
    private const int RegisterUnit = 256; // registers of a warp likewise

    private static readonly Dictionary<CpuProfile, (double TensorTflops, int F32Lanes, int F64Lanes)> Peaks = new()
    {
        [CpuProfile.A100] = (312, 64, 32),
        [CpuProfile.Rtx4090] = (165.2, 128, 2),
        [CpuProfile.H100] = (989.4, 128, 64),
        [CpuProfile.H200] = (989.4, 128, 64),
        [CpuProfile.B200] = (2250, 128, 64),
    };

    private readonly int _threads;
    private readonly int _shared;
    private readonly int _blocks;
    private readonly int _reserved;
    private readonly int _registers;

    /// <summary>Reads the properties of a CPU device that stands for a GPU.</summary>
    public DeviceRates(Device device)
    {
        Profile = device.CpuProfile!.Value;
        (TensorTflops, F32Lanes, F64Lanes) = Peaks[Profile];
        Multiprocessors = device.MultiprocessorCount;
        L2Bytes = device.L2CacheBytes;
        DriverApi api = device.Activate();
        int Read(int attribute)
        {
            int value;
            api.Check(api.DeviceGetAttribute(&value, attribute, device.Ordinal), $"reading attribute {attribute}");
            return value;
        }
        ClockGHz = Read(ClockKhz) / 1e6;
        MemoryGBs = 2.0 * Read(MemoryClockKhz) * Read(MemoryBusBits) / 8 / 1e6; // two transfers per clock
        _threads = Read(ThreadsOfMultiprocessor);
        _shared = Read(SharedOfMultiprocessor);
        _blocks = Read(BlocksOfMultiprocessor);
        _reserved = Read(SharedReserved);
        _registers = Read(RegistersOfMultiprocessor);
    }

    public CpuProfile Profile { get; }

    /// <summary>Number of multiprocessors (SM).</summary>
    public int Multiprocessors { get; }

    public double ClockGHz { get; }

    public long L2Bytes { get; }

    /// <summary>Bandwidth of the memory, in 10⁹ bytes per second.</summary>
    public double MemoryGBs { get; }

    /// <summary>Dense BF16 products with sums in F32, in 10¹² operations per second.</summary>
    public double TensorTflops { get; }

    /// <summary>Results in F32 per clock of a multiprocessor.</summary>
    public int F32Lanes { get; }

    /// <summary>Results in F64 per clock of a multiprocessor.</summary>
    public int F64Lanes { get; }

    /// <summary>The GPUs that bounds can be computed for.</summary>
    public static IEnumerable<CpuProfile> Known => Peaks.Keys;

    /// <summary>Reads GPUs' names, separated by commas.</summary>
    /// <exception cref="UsageException">There is none of a name.</exception>
    public static IReadOnlyList<CpuProfile> ParseProfiles(string names) =>
        [
            .. names
                .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Select(name =>
                    Enum.TryParse(name.Replace(" ", ""), ignoreCase: true, out CpuProfile profile)
                    && Peaks.ContainsKey(profile)
                        ? profile
                        : throw new UsageException($"--profile \"{name}\": expected some of {string.Join(", ", Known)}")
                ),
        ];

    /// <summary>Clocks for which an instruction of a warp keeps a unit busy that has so many lanes in all.</summary>
    public static double ClocksOfWarp(int lanes) =>
        CountedLaunch.WarpThreads / (lanes < Partitions ? lanes : (double)lanes / Partitions);

    /// <summary>
    /// Computes how many blocks of a launch a multiprocessor holds, as CUDA's occupancy calculator does: registers are
    /// given out to warps, 256 at a time, in four partitions that take whole warps, and shared memory in 128 bytes.
    /// </summary>
    public Occupancy OccupancyOf(CountedLaunch launch)
    {
        long warps = launch.WarpsPerBlock;
        long registers = launch["registers"];
        var limits = new List<(string By, long Blocks)>
        {
            ("threads", _threads / (warps * CountedLaunch.WarpThreads)),
            ("shared memory", _shared / RoundUp(launch["shared_bytes"] + _reserved, SharedUnit)),
            ("blocks", _blocks),
        };
        if (registers > 0)
        {
            long ofWarp = RoundUp(registers * CountedLaunch.WarpThreads, RegisterUnit);
            limits.Add(("registers", _registers / Partitions / ofWarp * Partitions / warps));
        }
        (string by, long blocks) = limits.MinBy(limit => limit.Blocks);
        blocks = Math.Max(1, blocks);
        return new Occupancy(
            blocks,
            100.0 * blocks * warps * CountedLaunch.WarpThreads / _threads,
            by,
            KnowsRegisters: registers > 0
        );
    }

    private static long RoundUp(long n, long unit) => (n + unit - 1) / unit * unit;
}
