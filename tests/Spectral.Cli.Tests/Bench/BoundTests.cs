using Spectral.Bench.Counting;
using Spectral.Kernels;

namespace Spectral.Cli.Tests.Bench;

/// <summary>Bounds in time against numbers worked out by hand from the rates of an H200.</summary>
public sealed class BoundTests
{
    private DeviceRates _h200 = null!;

    [OneTimeSetUp]
    public void ReadTheProfile()
    {
        using var device = Device.Cpu(new CpuDeviceOptions { Profile = CpuProfile.H200 });
        _h200 = new DeviceRates(device);
    }

    [OneTimeTearDown]
    public void LeaveTheProfile() => Device.Cpu(new CpuDeviceOptions { Profile = CpuProfile.None }).Dispose();

    [Test]
    public void TheRatesAreThoseOfTheDataSheet()
    {
        Assert.That(_h200.Multiprocessors, Is.EqualTo(132));
        Assert.That(_h200.ClockGHz, Is.EqualTo(1.98).Within(1e-9));
        Assert.That(_h200.MemoryGBs, Is.EqualTo(4800).Within(1e-9));
    }

    // Of 132 blocks, one for each multiprocessor: a clock is 1/1980 µs.
    [TestCase("hbm", 100, "global_read_bytes", 480_000_000L)] // at 4.8 TB/s: 100 µs
    [TestCase("l2", 100, "global_write_sectors", 132 * 198_000 * 2L)] // two sectors a clock
    [TestCase("shared", 100, "shared_wavefronts", 132 * 198_000L)] // one a clock
    [TestCase("shared", 100, "async_shared_bytes", 132 * 198_000 * 128L)]
    [TestCase("issue", 100, "instructions", 132 * 198_000 * 4L)] // four a clock
    [TestCase("tensor", 100, "wgmma_operations", 98_940_000_000L)] // at 989.4 Tflop/s
    [TestCase("f32", 100, "float_instructions", 132 * 198_000 * 4L)] // 128 lanes
    [TestCase("f64", 100, "double_instructions", 132 * 198_000 * 2L)] // 64 lanes
    [TestCase("mufu", 100, "special_instructions", 132 * 198_000 / 2L)] // 16 lanes
    public void TheBusiestPartIsTheBound(string by, double microseconds, string counter, long count)
    {
        var bound = Bound.Of(_h200, [Launch(132, 256, (counter, count))], 0);
        Assert.That(bound.By, Is.EqualTo(by));
        Assert.That(bound.Microseconds, Is.EqualTo(microseconds).Within(0.001).Percent);
    }

    [Test]
    public void TheMultiprocessorWithTheMostBlocksIsTheBound()
    {
        // 133 blocks of 8 warps: one multiprocessor has two, and does 2/133 of the work.
        var bound = Bound.Of(_h200, [Launch(133, 256, ("shared_wavefronts", 133 * 198_000L))], 0);
        Assert.That(bound.Microseconds, Is.EqualTo(200).Within(0.001).Percent);
    }

    [Test]
    public void AWarpAloneIssuesOneInstructionPerClock()
    {
        var bound = Bound.Of(_h200, [Launch(1, 32, ("instructions", 198_000L))], 0);
        Assert.That(bound.By, Is.EqualTo("warp"));
        Assert.That(bound.Microseconds, Is.EqualTo(100).Within(0.001).Percent);
    }

    [Test]
    public void LaunchesRunOneAfterTheOther()
    {
        CountedLaunch launch = Launch(132, 256, ("shared_wavefronts", 132 * 198_000L));
        Assert.That(Bound.Of(_h200, [launch, launch], 0).Microseconds, Is.EqualTo(200).Within(0.001).Percent);
        // The bytes of the contract move beside them.
        Assert.That(Bound.Of(_h200, [launch, launch], 4.8e9), Is.EqualTo(new Bound(1000, "hbm")));
    }

    [TestCase(1024, 0, 100)]
    [TestCase(96, 0, 98.4375)] // 21 blocks of 3 warps, of 64
    [TestCase(128, 100 << 10, 12.5)] // two blocks of 101 KB, of 228 KB
    [TestCase(32, 0, 50)] // 32 blocks
    public void OccupancyIsWhatThreadsSharedMemoryAndBlocksAllow(int threads, int shared, double percent) =>
        Assert.That(
            _h200.OccupancyPercent(Launch(1, threads, ("shared_bytes", shared))),
            Is.EqualTo(percent).Within(1e-9)
        );

    private static CountedLaunch Launch(long blocks, int threads, params (string Counter, long Count)[] counts)
    {
        string[] names =
        [
            "instructions",
            "float_instructions",
            "double_instructions",
            "special_instructions",
            "mma_operations",
            "wgmma_operations",
            "global_read_sectors",
            "global_write_sectors",
            "global_read_bytes",
            "global_write_bytes",
            "shared_wavefronts",
            "async_shared_bytes",
            "shared_bytes",
        ];
        Dictionary<string, long> counters = names.ToDictionary(name => name, _ => 0L);
        counters["blocks"] = blocks;
        counters["threads"] = threads;
        foreach ((string counter, long count) in counts)
            counters[counter] = count;
        return new CountedLaunch("k", counters);
    }
}
