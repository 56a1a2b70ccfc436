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

    [Test]
    public void WhatL2HasLostMovesAgain()
    {
        var buffer = new CountedBuffer(0) { ReadBytes = 480_000_000 };
        buffer.Again[49] = (1_000_000_000, 0); // an H200 has 50 MiB
        buffer.Again[50] = (240_000_000, 0);
        buffer.Again[300] = (0, 240_000_000);
        CountedLaunch launch = Launch(132, 256, ("global_read_bytes", 480_000_000)) with { Buffers = [buffer] };
        Assert.That(launch.BytesAgain(_h200.L2Bytes), Is.EqualTo(480_000_000));
        Assert.That(Bound.Of(_h200, [launch], 0), Is.EqualTo(new Bound(200, "hbm")));
    }

    [TestCase("float_instructions", 198_000)] // a partition has 32 lanes in F32,
    [TestCase("double_instructions", 99_000)] // 16 in F64,
    [TestCase("special_instructions", 24_750)] // and 4 for approximations
    public void AWarpAloneHasTheLanesOfOnePartition(string counter, long count)
    {
        var bound = Bound.Of(_h200, [Launch(1, 32, (counter, count))], 0);
        Assert.That(bound.By, Is.EqualTo("warp"));
        Assert.That(bound.Microseconds, Is.EqualTo(100).Within(0.001).Percent);
    }

    // 132 multiprocessors hold two blocks of 1024 threads each.
    [TestCase(1, 198_000, 198_000, 100)]
    [TestCase(264, 264 * 198_000L, 198_000, 100)]
    [TestCase(265, 265 * 198_000L, 198_000, 200)]
    [TestCase(265, 265 * 1_980L, 198_000, 100)] // most blocks are short, one is not
    public void ABlockTakesAsLongAsItsLongestChain(long blocks, long sum, long longest, double microseconds)
    {
        CountedLaunch launch = Launch(blocks, 1024, ("chain_clocks", sum), ("longest_chain_clocks", longest));
        var bound = Bound.Of(_h200, [launch], 0);
        Assert.That(bound.By, Is.EqualTo("chain"));
        Assert.That(bound.Microseconds, Is.EqualTo(microseconds).Within(0.001).Percent);
    }

    [TestCase(1024, 0, 0, 100, "threads")]
    [TestCase(96, 0, 0, 98.4375, "threads")] // 21 blocks of 3 warps, of 64
    [TestCase(128, 100 << 10, 0, 12.5, "shared memory")] // two blocks of 101 KB, of 228 KB
    [TestCase(32, 0, 0, 50, "blocks")] // 32 blocks
    [TestCase(256, 0, 32, 100, "threads")] // 1,024 registers a warp: 64 warps
    [TestCase(256, 0, 65, 37.5, "registers")] // 2,304 a warp: seven in each of four partitions, three blocks of eight
    [TestCase(1024, 0, 255, 50, "registers")] // none fits; such a launch is refused
    public void OccupancyIsWhatIsLeast(int threads, int shared, int registers, double percent, string by)
    {
        Occupancy occupancy = _h200.OccupancyOf(Launch(1, threads, ("shared_bytes", shared), ("registers", registers)));
        Assert.That(occupancy.Percent, Is.EqualTo(percent).Within(1e-9));
        Assert.That(occupancy.By, Is.EqualTo(by));
        Assert.That(occupancy.KnowsRegisters, Is.EqualTo(registers > 0));
    }

    [Test]
    public void BuffersAreNamedByTheFieldsOfTheirArguments()
    {
        Assert.That(new CountedBuffer(8).NameIn("rms_norm_forward_bf16"), Is.EqualTo("Weight"));
        Assert.That(new CountedBuffer(8).NameIn("not_ours"), Is.EqualTo("parameter byte 8"));
        Assert.That(new CountedBuffer(-1).NameIn("rms_norm_forward_bf16"), Is.EqualTo("elsewhere"));
    }

    [Test]
    public void AReportHasCountersAndBuffers()
    {
        CountedLaunch launch = CountedLaunch
            .ParseAll(
                """
                kernel first
                blocks 1
                kernel second
                blocks 2
                buffer 8
                read_bytes 64
                written_bytes 32
                distance_mib 0
                read_again_bytes 96
                written_again_bytes 0
                distance_mib 3
                read_again_bytes 32
                written_again_bytes 64
                buffer -1
                read_bytes 4
                written_bytes 0
                """
            )
            .Last();
        Assert.That(launch["blocks"], Is.EqualTo(2));
        Assert.That(launch.Buffers.Select(buffer => buffer.Offset), Is.EqualTo(new[] { 8, -1 }));
        Assert.That(launch.Buffers[0].Again[0], Is.EqualTo((96L, 0L)));
        Assert.That(launch.BytesAgain(3 << 20), Is.EqualTo(96));
        Assert.That(CountedLaunch.Sum("both", [launch, launch]).Buffers[0].BytesBeyond(0), Is.EqualTo(2 * 192));
    }

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
            "registers",
            "chain_clocks",
            "longest_chain_clocks",
        ];
        Dictionary<string, long> counters = names.ToDictionary(name => name, _ => 0L);
        counters["blocks"] = blocks;
        counters["threads"] = threads;
        foreach ((string counter, long count) in counts)
            counters[counter] = count;
        return new CountedLaunch("k", counters, []);
    }
}
