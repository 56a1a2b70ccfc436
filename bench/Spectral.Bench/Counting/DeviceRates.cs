using Spectral.Kernels;

namespace Spectral.Bench.Counting;

/// <summary>
/// What a GPU does at best, for bounds in time. Multiprocessors, boost clock, memory bandwidth, L2 and dense BF16 rate
/// are those of NVIDIA's data sheets and architecture white papers: A100 80 GB SXM, GeForce RTX 4090, H100 SXM, H200
/// SXM and HGX B200. Rates per multiprocessor and clock are those of the CUDA C++ Programming Guide, "Arithmetic
/// Instructions".
/// </summary>
/// <param name="Name">As <c>--profile</c> has it.</param>
/// <param name="Multiprocessors">Number of multiprocessors (SM).</param>
/// <param name="ClockGHz">Highest clock.</param>
/// <param name="MemoryGBs">Bandwidth of the memory, in 10⁹ bytes per second.</param>
/// <param name="L2Bytes">Size of the L2 cache.</param>
/// <param name="TensorTflops">Dense BF16 products with sums in F32, in 10¹² operations per second.</param>
/// <param name="F32Lanes">Results in F32 per clock of a multiprocessor.</param>
/// <param name="F64Lanes">Results in F64 per clock of a multiprocessor.</param>
internal sealed record DeviceRates(
    string Name,
    int Multiprocessors,
    double ClockGHz,
    double MemoryGBs,
    long L2Bytes,
    double TensorTflops,
    int F32Lanes,
    int F64Lanes
)
{
    /// <summary>Instructions that the four schedulers of a multiprocessor issue per clock.</summary>
    public const int IssuedPerClock = 4;

    /// <summary>Approximations (reciprocal, exponential and so on) per clock of a multiprocessor.</summary>
    public const int SpecialLanes = 16;

    /// <summary>Bytes that shared memory moves per clock of a multiprocessor: a wavefront.</summary>
    public const int SharedBytes = 128;

    /// <summary>
    /// Bytes that a multiprocessor takes from L2 per clock at most (white paper of the A100: 64 since Volta).
    /// </summary>
    public const int L2BytesPerClock = 64;

    public static IReadOnlyList<DeviceRates> All { get; } =
    [
        new("A100", 108, 1.41, 2039, 40 << 20, 312, 64, 32),
        new("RTX4090", 128, 2.52, 1008, 72 << 20, 165.2, 128, 2),
        new("H100", 132, 1.98, 3352, 50 << 20, 989.4, 128, 64),
        new("H200", 132, 1.98, 4800, 50 << 20, 989.4, 128, 64),
        new("B200", 148, 1.965, 8000, 126 << 20, 2250, 128, 64),
    ];

    /// <summary>Finds profiles by their names, separated by commas.</summary>
    /// <exception cref="UsageException">There is none of a name.</exception>
    public static IReadOnlyList<DeviceRates> Find(string names) =>
        [
            .. names
                .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                .Select(name =>
                    All.FirstOrDefault(rates => rates.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                    ?? throw new UsageException(
                        $"--profile \"{name}\": expected some of {string.Join(", ", All.Select(rates => rates.Name))}"
                    )
                ),
        ];
}
