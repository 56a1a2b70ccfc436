using Spectral.Kernels.Driver;
using Spectral.Kernels.Interop;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>Launches that do not fit their kernel: refused, with the values that were wrong.</summary>
[TestFixtureSource(typeof(Devices), nameof(Devices.All))]
public sealed class LaunchTests(DeviceKind kind) : DeviceTest(kind)
{
    [Test]
    public void ArgumentsOfAnotherKernelAreRefused() =>
        Assert.That(
            () => Device.Kernel<CastArgs>("elementwise", "add_f32"),
            Throws.ArgumentException.With.Message.Contains(
                "kernel add_f32 takes 32 bytes of arguments, CastArgs has 24"
            )
        );

    [Test]
    public void MoreThreadsThanTheKernelTakesAreRefused() =>
        Assert.That(
            () => AddArgs.Kernel.Launch(Device, DType.F32, new AddArgs(), 1, 512),
            Throws.ArgumentException.With.Message.Contains("add_f32 takes at most 256 threads per block, found 512")
        );

    [Test]
    public void ARefusedLaunchSaysItsGridThreadsAndSharedMemory()
    {
        CudaException error = Assert.Throws<CudaException>(() =>
            FlashAttentionArgs.Narrow.Launch(Device, new FlashAttentionArgs(), (1, 70_000))
        )!;
        Assert.That(
            error.Message,
            Does.StartWith(
                "flash_attention_forward_64: "
                    + "cuLaunchKernel(grid 1×70000×1, 128 threads, 66,048 bytes of shared memory) returned "
                    + "CUDA_ERROR_INVALID_VALUE (1)"
            )
        );
        if (Device.Kind == DeviceKind.Cpu)
            Assert.That(error.Message, Does.Contain("not 1 x 70000 x 1"));
    }

    [Test]
    public void AnErrorDoesNotShowTheReasonForAnEarlierOne()
    {
        Assert.That(
            () => FlashAttentionArgs.Narrow.Launch(Device, new FlashAttentionArgs(), (1, 70_000)),
            Throws.TypeOf<CudaException>()
        );
        Assert.That(
            () => Device.Kernel("flash_attention", "no_such_kernel"),
            Throws.TypeOf<CudaException>().With.Message.EndsWith("CUDA_ERROR_NOT_FOUND (500): named symbol not found")
        );
    }

    [Test]
    public void TheCpuDeviceWantsTheSharedMemoryThatTheKernelUses()
    {
        if (Device.Kind != DeviceKind.Cpu)
            Assert.Ignore("a GPU does not know what a kernel uses");
        Devices.RequireSourceKernels("PTX does not say how much dynamic shared memory a kernel uses");
        Assert.That(
            () =>
                Device
                    .Kernel<FlashAttentionArgs>("flash_attention", "flash_attention_forward_64")
                    .Launch(new FlashAttentionArgs(), 1, 128, 1024),
            Throws
                .TypeOf<CudaException>()
                .With.Message.Contains("the kernel needs 66048 bytes of dynamic shared memory, not 1024")
        );
    }
}
