using System.Runtime.InteropServices;
using Spectral.Kernels.Driver;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>What a caller that has contexts of its own can count on.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed unsafe class ContextTests(DeviceKind kind) : DeviceTest(kind)
{
    private nint _own;
    private delegate* unmanaged<nint, int> _destroy;

    [SetUp]
    public void MakeContext()
    {
        nint library = Device.Api.Library;
        var create = (delegate* unmanaged<nint*, uint, int, int>)NativeLibrary.GetExport(library, "cuCtxCreate_v2");
        _destroy = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(library, "cuCtxDestroy_v2");
        nint context;
        Assert.That(create(&context, 0, Device.Ordinal), Is.Zero);
        _own = context;
    }

    [TearDown]
    public void DestroyContext() => Assert.That(_destroy(_own), Is.Zero);

    [Test]
    public void TheScopeGivesTheCallersContextBack()
    {
        using (Device.Enter())
        {
            using var x = Tensor.Zeros(Device, 4);
            Assert.That(Current(), Is.EqualTo(Device.ContextHandle));
        }
        Assert.That(Current(), Is.EqualTo(_own));
    }

    [Test]
    public void TheScopeGivesTheContextBackAfterAnException()
    {
        Assert.That(
            () =>
            {
                using (Device.Enter())
                    Device.Kernel("rms_norm", "no_such_kernel");
            },
            Throws.TypeOf<CudaException>()
        );
        Assert.That(Current(), Is.EqualTo(_own));
    }

    [Test]
    public void ScopesNest()
    {
        using var borrowed = Device.FromContext(_own, Device.Ordinal);
        using (Device.Enter())
        {
            using (borrowed.Enter())
                Assert.That(Current(), Is.EqualTo(_own));
            Assert.That(Current(), Is.EqualTo(Device.ContextHandle));
        }
        Assert.That(Current(), Is.EqualTo(_own));
    }

    [Test]
    public void NoContextComesBackWhereThereWasNone()
    {
        while (Current() != 0) // each call uncovers the context below
            Assert.That(Device.Api.CtxSetCurrent(0), Is.Zero);
        using (Device.Enter())
            Device.Synchronize();
        Assert.That(Current(), Is.EqualTo((nint)0));
    }

    [Test]
    public void ABorrowedContextIsOfItsOwnDriverAndStaysAlive()
    {
        using (var device = Device.FromContext(_own, Device.Ordinal))
        {
            Assert.That((device.Kind, device.ContextHandle), Is.EqualTo((Device.Kind, _own)));
            Assert.That(Current(), Is.EqualTo(_own), "asking whose it is changes nothing");
            using var x = Tensor.From(device, [1f, 2, 3, 4], (2, 2));
            using var y = Tensor.Empty(device, (2, 2));
            Gemm.Run(x, Gemm.Transposed(x), y);
            Assert.That(y.ToArray(), Is.EqualTo(new float[] { 5, 11, 11, 25 }));
        }
        Assert.That(Device.Api.CtxSetCurrent(_own), Is.Zero, "it is alive");
    }

    [Test]
    public void NoContextIsRefused() =>
        Assert.That(() => Device.FromContext(0), Throws.ArgumentException.With.Message.Contains("CUcontext"));

    [Test]
    public void ADisposedDeviceIsNamedByWhateverUsesIt()
    {
        var device = Device.FromContext(_own, Device.Ordinal);
        using var x = Tensor.From(device, [1f, 2, 3, 4], (2, 2));
        using var y = Tensor.Empty(device, (2, 2));
        using var stream = DeviceStream.Create(device);
        Gemm.Run(x, x, y);
        device.Dispose();
        Assert.Multiple(() =>
        {
            Named(() => Tensor.Empty(device, 3), device);
            Named(() => x.ToArray(), device);
            Named(() => Gemm.Run(x, x, y), device);
            Named(() => Combine.Run(x, 1, x, 1, y), device);
            Named(() => device.Kernel("elementwise", "add_f32"), device);
            Named(() => stream.Synchronize(), device);
            Named(() => device.Enter().Dispose(), device);
            Named(() => device.Blas.Version.ToString(), device);
        });
    }

    private static void Named(Action use, Device device) =>
        Assert.That(
            () => use(),
            Throws.TypeOf<ObjectDisposedException>().With.Property("ObjectName").EqualTo(device.ToString())
        );

    private nint Current()
    {
        nint current;
        Assert.That(Device.Api.CtxGetCurrent(&current), Is.Zero);
        return current;
    }
}
