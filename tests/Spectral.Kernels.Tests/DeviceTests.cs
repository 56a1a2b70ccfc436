using Spectral.Kernels.Driver;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DeviceTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void ValuesSurviveTheRoundTrip([Values(0, 1, 7, 1000)] int n)
    {
        using var a = Tensor.From(Device, Enumerable.Range(0, n).Select(i => i / 3f).ToArray(), n);
        using var copy = Tensor.Empty(Device, n);
        copy.CopyFrom(a);
        Assert.That(copy.ToArray(), Is.EqualTo(Enumerable.Range(0, n).Select(i => i / 3f)));
    }

    [Test]
    public void BFloat16RoundsToNearestEven()
    {
        using var a = Tensor.From(
            Device,
            [1f, 1 + 1f / 256, 1 + 3f / 256, float.NaN, float.PositiveInfinity, 1e-40f],
            6,
            DType.BF16
        );
        float[] values = a.ToArray();
        Assert.That(values[..3], Is.EqualTo(new[] { 1f, 1f, 1 + 4f / 256 }));
        Assert.That(values[3], Is.NaN);
        Assert.That(values[4], Is.EqualTo(float.PositiveInfinity));
    }

    [Test]
    public void HandlesOnOneBlockAreCounted()
    {
        long before = Device.Memory.InUse;
        var whole = Tensor.From(Device, Enumerable.Range(0, 6000).Select(i => (float)i).ToArray(), (2000, 3));
        Tensor rows = whole.Rows(1000, 2);
        Tensor view = rows.View(6);
        whole.Dispose();
        whole.Dispose();
        Assert.That(view.ToArray(), Is.EqualTo(Enumerable.Range(3000, 6).Select(i => (float)i)));
        Assert.That(() => whole.Pointer, Throws.TypeOf<ObjectDisposedException>());
        Assert.That(Device.Memory.InUse, Is.GreaterThan(before));
        rows.Dispose();
        view.Dispose();
        Assert.That(Device.Memory.InUse, Is.EqualTo(before));
    }

    [Test]
    public void ThePoolReusesWhatWasGivenBack()
    {
        RequirePool();
        Tensor.Empty(Device, 100_000).Dispose();
        long cached = Device.Memory.Cached;
        ulong pointer;
        using (var again = Tensor.Empty(Device, 99_000))
        {
            pointer = again.Pointer;
            Assert.That(Device.Memory.Cached, Is.LessThan(cached));
        }
        using var third = Tensor.Empty(Device, 100_000);
        Assert.That(third.Pointer, Is.EqualTo(pointer));
    }

    [Test]
    public void ShapesThatDoNotFitAreNamed()
    {
        using var a = Tensor.Empty(Device, (2, 3));
        Assert.That(() => a.View((4, 2)), Throws.ArgumentException.With.Message.Contains("[4, 2]"));
        Assert.That(() => a.Rows(1, 2), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => a.CopyFrom(new float[5]), Throws.ArgumentException.With.Message.Contains("5 values"));
        Assert.That(() => a.ToInt32Array(), Throws.InvalidOperationException);
    }

    [Test]
    public void TooMuchMemoryNamesTheCallTheDeviceAndTheSizes() =>
        Assert.That(
            () => Tensor.Empty(Device, (int.MaxValue, int.MaxValue / 2)),
            Throws
                .TypeOf<OutOfDeviceMemoryException>()
                .With.Message.Contains("cuMemAlloc")
                .And.Message.Contains("CUDA_ERROR_OUT_OF_MEMORY")
                .And.Message.Contains(Device.Name)
                .And.Property(nameof(CudaException.IsOutOfMemory))
                .True
        );

    [Test]
    public void RunningOutOfMemoryGivesBackWhatIsCachedAndThenSaysWhatThereWas()
    {
        if (Device.Kind != DeviceKind.Cpu)
            Assert.Ignore("only the CPU device's memory can be limited");
        RequirePool();
        const int Part = 1 << 20;
        using var kept = Tensor.Empty(Device, Part);
        Device.Trim();
        long libraries = Device.Memory.Cached; // which keep theirs
        long limit = Device.Memory.InUse + 5L * Part * sizeof(float);
        using var limited = Device.Cpu(new CpuDeviceOptions { Memory = limit });
        try
        {
            foreach (Tensor part in Enumerable.Range(0, 4).Select(_ => Tensor.Empty(Device, Part)).ToArray())
                part.Dispose();
            Assert.That(Device.Memory.Cached, Is.GreaterThanOrEqualTo(4L * Part * sizeof(float)));
            Tensor.Empty(Device, 4 * Part).Dispose(); // fits only where the four parts were
            OutOfDeviceMemoryException error = Assert.Throws<OutOfDeviceMemoryException>(() =>
                Tensor.Empty(Device, 6 * Part)
            )!;
            Assert.Multiple(() =>
            {
                Assert.That(limited.TotalMemory, Is.EqualTo(limit));
                Assert.That(error.Requested, Is.EqualTo(6L * Part * sizeof(float)));
                Assert.That(
                    error.InUse,
                    Is.EqualTo(Device.Memory.InUse).And.GreaterThanOrEqualTo(Part * sizeof(float))
                );
                Assert.That(error.Total, Is.EqualTo(limit));
                Assert.That(error.Free, Is.InRange(4L * Part * sizeof(float), limit));
                Assert.That(Device.Memory.Cached, Is.EqualTo(libraries).And.LessThan(Part));
            });
        }
        finally
        {
            Device.Cpu(new CpuDeviceOptions { Memory = 0 }).Dispose();
        }
    }

    [Test]
    public void AKernelThatIsNotThereIsNamed() =>
        Assert.That(
            () => Device.Kernel("rms_norm", "no_such_kernel"),
            Throws
                .TypeOf<CudaException>()
                .With.Message.Contains("no_such_kernel")
                .And.Message.Contains("CUDA_ERROR_NOT_FOUND")
        );

    [Test]
    public void EventsMeasureTimeOnAStreamOfOnesOwn()
    {
        using var stream = DeviceStream.Create(Device);
        using DeviceEvent start = new(Device);
        using DeviceEvent end = new(Device);
        using (Device.Use(stream))
        {
            start.Record();
            Tensor.Zeros(Device, 1 << 20).Dispose();
            end.Record();
            end.Synchronize();
        }
        Assert.That(end.MillisecondsSince(start), Is.GreaterThanOrEqualTo(0).And.LessThan(10_000));
        Assert.That(Device.Stream.Handle, Is.EqualTo((nint)0));
    }

    [Test]
    public void AContextOutlivesItsDeviceWhileAStreamIsAlive()
    {
        Device second = Device.Kind == DeviceKind.Cpu ? Device.Cpu() : Device.Cuda();
        var stream = DeviceStream.Create(second);
        second.Dispose();
        second.Dispose();
        Assert.That(() => stream.Dispose(), Throws.Nothing);
    }

    [Test]
    public void ALibraryIsFreedWithItsDeviceAndRefusesToGoOn()
    {
        Device second = Device.Kind == DeviceKind.Cpu ? Device.Cpu() : Device.Cuda();
        int before = Alive();
        Blas blas = second.Blas;
        Assert.That(Alive(), Is.EqualTo(before + 1));
        second.Dispose();
        blas.Dispose();
        Assert.That(Alive(), Is.EqualTo(before));
        Assert.That(() => blas.Version, Throws.TypeOf<ObjectDisposedException>());

        static int Alive() => LiveObjects.Snapshot().GetValueOrDefault("blas");
    }

    [Test]
    public void BorrowedMemoryIsUsedWhereItIsAndLeftAlone()
    {
        using var owner = Tensor.From(Device, [1f, 2, 3, 4], 4);
        Tensor.FromPointer(Device, owner.Pointer, (2, 2), DType.F32).Dispose();
        Assert.That(owner.ToArray(), Is.EqualTo(new[] { 1f, 2, 3, 4 }));
        Assert.That(
            () => Tensor.FromPointer(Device, owner.Pointer + 2, 1, DType.F32),
            Throws.ArgumentException.With.Message.Contains("multiple of 16")
        );
    }

    private static void RequirePool()
    {
        if (Environment.GetEnvironmentVariable(Kernels.Device.CheckVariable) == "1")
            Assert.Ignore($"{Kernels.Device.CheckVariable} is set: there is no pool");
    }
}
