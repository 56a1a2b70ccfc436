using Spectral.Bench.Counting;

namespace Spectral.Cli.Tests.Bench;

/// <summary>
/// What <c>spectral-bench count --ptx</c> counts of kernels that nvcc compiled (<c>CountedKernels</c>), against
/// numbers that follow from what each counter is defined as.
/// </summary>
public sealed class OwnKernelCountTests
{
    private static readonly string File = Path.Combine(TestContext.CurrentContext.TestDirectory, "counted_kernels.ptx");

    // Read sectors, write sectors, distinct bytes read and written, bank conflicts, barriers.
    // 8 bytes every 24: the 32 lanes of a warp touch all of its 24 sectors.
    [TestCase("strided", "2", "64", "buf:f64:400:iota buf:f64:128:iota i32:3 i32:128", 96, 32, 1024, 1024, 0, 0)]
    // 100 bytes: three warps of a sector each, and one of 4 bytes.
    [TestCase("bytes", "1", "128", "buf:u8:100:iota buf:u8:100:iota i32:100", 4, 4, 100, 100, 0, 0)]
    // 40 vectors of 16 bytes: 32 in 16 sectors, 8 in 4.
    [TestCase("vectors", "1", "64", "buf:f32:160:iota buf:f32:160:iota i32:40", 20, 20, 640, 640, 0, 0)]
    // A word of each 16 bytes of a table in global memory; one in constant memory does not count.
    [TestCase("tables", "1", "32", "buf:f32:32:iota", 16, 4, 128, 128, 0, 0)]
    // Each warp reads a column of 32 words in one bank.
    [TestCase("transpose", "1", "32,32", "buf:f32:1024:iota buf:f32:1024:iota", 128, 128, 4096, 4096, 31 * 32, 1)]
    // Four warps add to one word, two of them to 32 words more; both reads and writes.
    [TestCase("atomics", "2", "64", "buf:i32:1:iota buf:i32:32:iota", 12, 12, 132, 132, 0, 4)]
    // 256 threads halve eight times, with a barrier before the first and after each.
    [TestCase("reduce", "3", "256", "buf:f32:768:iota buf:f32:3:iota", 96, 3, 3072, 12, 0, 27)]
    // cp.async reads global memory, and writes 16 bytes a lane to shared memory without conflicts.
    [TestCase("pipeline", "1", "128", "buf:f32:512:iota buf:f32:512:iota", 64, 64, 2048, 2048, 0, 1)]
    // Two parts of a warp: 16 words in 4 sectors, and 16 in a sector each; words 8 and 24 are in both.
    [TestCase("diverge", "1", "32", "buf:f32:400:iota buf:f32:32:iota", 20, 4, 120, 128, 0, 0)]
    // Each warp begins three words into a sector.
    [TestCase("shifted", "1", "64", "buf:f32:70:iota buf:f32:64:iota i32:3", 10, 8, 256, 256, 0, 0)]
    // Every second 8 bytes: two words in each bank, for each half of the warp, to store and to load.
    [TestCase("wide_shared", "1", "32", "buf:f64:32:iota buf:f64:32:iota", 8, 8, 256, 256, 4, 1)]
    [TestCase("same", "2", "64", "buf:f32:1:iota buf:f32:128:iota", 4, 16, 4, 512, 0, 0)]
    // Four sectors, and the same a word further: five.
    [TestCase("in_place", "1", "32", "buf:i32:33:iota", 9, 4, 132, 128, 0, 0)]
    // 16 words, each read by all lanes; the copy in local memory does not count.
    [TestCase("local", "1", "32", "buf:i32:16:iota buf:i32:32:iota i32:5", 16, 4, 64, 128, 0, 0)]
    [TestCase("grid3", "2,3,2", "8,4", "buf:i32:384:iota", 0, 48, 0, 1536, 0, 0)]
    public void CountsAreThoseWorkedOutByHand(
        string entry,
        string grid,
        string block,
        string arguments,
        long readSectors,
        long writeSectors,
        long readBytes,
        long writtenBytes,
        long conflicts,
        long barriers
    )
    {
        CountedLaunch launch = Count(entry, grid, block, arguments);
        Assert.Multiple(() =>
        {
            Assert.That(launch["global_read_sectors"], Is.EqualTo(readSectors), "sectors read");
            Assert.That(launch["global_write_sectors"], Is.EqualTo(writeSectors), "sectors written");
            Assert.That(launch["global_read_bytes"], Is.EqualTo(readBytes), "bytes read");
            Assert.That(launch["global_write_bytes"], Is.EqualTo(writtenBytes), "bytes written");
            Assert.That(launch["shared_bank_conflicts"], Is.EqualTo(conflicts), "conflicts");
            Assert.That(launch["barriers"], Is.EqualTo(barriers), "barriers");
        });
    }

    [Test]
    public void BuffersHaveTheirBytes()
    {
        CountedLaunch launch = Count("tables", "1", "32", "buf:f32:32:iota");
        Assert.That(
            launch.Buffers.Select(buffer => (buffer.Offset, buffer.ReadBytes, buffer.WrittenBytes)),
            Is.EqualTo(new[] { (0, 0L, 128L), (-1, 128L, 0L) })
        );
    }

    private static CountedLaunch Count(string entry, string grid, string block, string arguments)
    {
        using var kernel = new OwnKernel(File, entry, [.. arguments.Split(' ').Select(ArgumentSpec.Parse)]);
        int shared = entry == "reduce" ? 1024 : 0;
        return kernel.Launch(Sizes.Parse("--grid", grid), Sizes.Parse("--block", block), shared, multiprocessors: 1);
    }
}
