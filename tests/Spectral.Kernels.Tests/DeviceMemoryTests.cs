using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>Tests a limit on a device's memory, memory that is moved to the host, and rehearsals.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class DeviceMemoryTests(DeviceKind kind) : DeviceTest(kind)
{
    private const int Floats = 1 << 18; // a size class of its own: 1 MiB

    [Test]
    public void NothingIsAllocatedBeyondTheLimit()
    {
        using Device device = Open();
        device.Memory.Limit = 4L << 20;
        List<Tensor> tensors = [.. Enumerable.Range(0, 4).Select(_ => Tensor.Empty(device, Floats))];
        Assert.That(
            () => Tensor.Empty(device, 1),
            Throws
                .TypeOf<OutOfDeviceMemoryException>()
                .With.Property("IsLimited")
                .True.And.Property("Total")
                .EqualTo(4L << 20)
                .And.Property("Free")
                .EqualTo(0L)
                .And.Property("InUse")
                .EqualTo(4L << 20)
        );
        // What the pool has cached counts, and makes room.
        tensors[0].Dispose();
        tensors[1].Dispose();
        using (var wide = Tensor.Empty(device, 2 * Floats))
            Assert.That(device.Memory.InUse + device.Memory.Cached, Is.EqualTo(4L << 20));
        device.Memory.Limit = null;
        using (var wider = Tensor.Empty(device, 16 * Floats))
            Assert.That(device.Memory.InUse, Is.GreaterThan(16L << 20));
        tensors.ForEach(tensor => tensor.Dispose());
        Assert.That(() => device.Memory.Limit = 0, Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void WhatWasMovedToTheHostComesBackWhenItIsUsed()
    {
        using Device device = Open();
        float[] values = [.. Enumerable.Range(0, Floats).Select(i => i / 3f)];
        using var whole = Tensor.From(device, values, (Floats / 4, 4));
        using Tensor rows = whole.Rows(100, 50);
        for (int round = 0; round < 3; round++)
        {
            whole.Offload();
            rows.Offload(); // the same block
            Assert.That(device.Memory.InUse, Is.Zero);
            using (var other = Tensor.Zeros(device, Floats)) // the memory that was given up
            {
                Assert.That(rows.ToArray(), Is.EqualTo(values[400..600]));
                Assert.That(other.ToArray(), Is.All.Zero);
            }

            Assert.That(whole.ToArray(), Is.EqualTo(values));
            Scale.Run(whole, 2);
            values = [.. values.Select(value => 2 * value)];
        }

        whole.Offload();
        whole.Dispose();
        rows.Dispose();
        Assert.That(device.Memory.InUse, Is.Zero);
    }

    [Test]
    public void MemoryOfOtherCodeStaysWhereItIs()
    {
        using var own = Tensor.Zeros(Device, 64);
        using var foreign = Tensor.FromPointer(Device, own.Pointer, 64, DType.F32);
        Assert.That(foreign.Offload, Throws.InvalidOperationException.With.Message.Contains("other code"));
    }

    [Test]
    public void ARehearsalCountsAndDoesNothing()
    {
        using Device device = Open();
        using Device rehearsal = device.Rehearse();
        const int Size = 200_000;
        // 160 GB each, more than there is.
        using var a = Tensor.Zeros(rehearsal, (Size, Size));
        using var b = Tensor.Zeros(rehearsal, (Size, Size));
        using (var product = Tensor.Empty(rehearsal, (Size, Size)))
        {
            Gemm.Run(a, b, product);
            Scale.Run(product, 2);
        }

        using var small = Tensor.From(rehearsal, [1f, 2, 3], 3);
        Assert.Multiple(() =>
        {
            Assert.That(small.ToArray(), Is.EqualTo(new float[3]), "what is read is zeros");
            Assert.That((double)rehearsal.Memory.Peak, Is.EqualTo(3 * 4.0 * Size * Size).Within(13).Percent);
            Assert.That(rehearsal.Kind, Is.EqualTo(device.Kind));
            Assert.That(rehearsal.Name, Is.EqualTo(device.Name));
            Assert.That(device.Memory.Peak, Is.Zero);
        });
        // The device itself computes as before.
        using var x = Tensor.From(device, [1f, 2, 3, 4], (2, 2));
        using var y = Tensor.Empty(device, (2, 2));
        Gemm.Run(x, x, y);
        Assert.That(y.ToArray(), Is.EqualTo(new float[] { 7, 10, 15, 22 }));
    }

    private Device Open() => Device.Kind == DeviceKind.Cpu ? Device.Cpu() : Device.Cuda();
}
