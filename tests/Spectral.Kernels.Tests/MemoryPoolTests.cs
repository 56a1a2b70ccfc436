namespace Spectral.Kernels.Tests;

public sealed class MemoryPoolTests
{
    [Test]
    public void ASizeClassHoldsItsSizeAndWastesAtMostAnEighth()
    {
        int last = 0;
        for (long bytes = 1; bytes < 1L << 40; bytes += 1 + bytes / 37)
        {
            int sizeClass = MemoryPool.ClassOf(bytes);
            long size = MemoryPool.SizeOf(sizeClass);
            Assert.That(
                size,
                Is.GreaterThanOrEqualTo(bytes).And.LessThanOrEqualTo(Math.Max(bytes + 511, bytes + bytes / 8 + 512)),
                $"{bytes} bytes, class {sizeClass}"
            );
            Assert.That(MemoryPool.ClassOf(size), Is.EqualTo(sizeClass), $"{size} bytes");
            Assert.That(sizeClass, Is.GreaterThanOrEqualTo(last));
            last = sizeClass;
        }
    }
}
