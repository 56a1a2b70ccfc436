using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>The CPU device in place of each GPU: what it reports, and which kernels run on it.</summary>
public sealed class CpuProfileTests
{
    private const int KiB = 1 << 10;

    private CpuProfile _before;

    [SetUp]
    public void RememberTheProfile()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the CPU device runs on Linux only");
        using var device = Device.Cpu();
        _before = device.CpuProfile!.Value;
    }

    [TearDown]
    public void RestoreTheProfile()
    {
        if (OperatingSystem.IsLinux())
            Device.Cpu(new CpuDeviceOptions { Profile = _before }).Dispose();
    }

    [TestCase(CpuProfile.A100, "A100", 8, 0, 108, 163)]
    [TestCase(CpuProfile.Rtx4090, "RTX 4090", 8, 9, 128, 99)]
    [TestCase(CpuProfile.H100, "H100", 9, 0, 132, 227)]
    [TestCase(CpuProfile.H200, "H200", 9, 0, 132, 227)]
    [TestCase(CpuProfile.B200, "B200", 10, 0, 148, 227)]
    public void ADeviceReportsItsGpu(CpuProfile profile, string name, int major, int minor, int processors, int shared)
    {
        using Device device = Open(profile);
        Assert.That(device.Name, Does.StartWith($"Spectral CPU device as {name} ("));
        Assert.That(device.CpuProfile, Is.EqualTo(profile));
        Assert.That(device.ComputeCapability, Is.EqualTo((major, minor)));
        Assert.That(device.MultiprocessorCount, Is.EqualTo(processors));
        Assert.That(device.SharedBytesPerBlock, Is.EqualTo(shared * KiB));
        using Device own = Open(CpuProfile.None);
        Assert.That(own.Name, Does.StartWith("Spectral CPU device ("));
    }

    [TestCase(CpuProfile.A100, "sm_80")]
    [TestCase(CpuProfile.Rtx4090, "sm_80")]
    [TestCase(CpuProfile.H100, "sm_90a")]
    [TestCase(CpuProfile.B200, "sm_80")]
    public void ItLoadsThePtxThatTheGpuWould(CpuProfile profile, string target)
    {
        if (KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("this build holds no PTX");
        string? variable = Environment.GetEnvironmentVariable(CpuDeviceOptions.PtxTargetVariable);
        Environment.SetEnvironmentVariable(CpuDeviceOptions.PtxTargetVariable, null);
        try
        {
            using Device device = Open(profile, CpuKernels.Ptx);
            Assert.That(device.PtxTarget, Is.EqualTo(target));
        }
        finally
        {
            Environment.SetEnvironmentVariable(CpuDeviceOptions.PtxTargetVariable, variable);
        }
    }

    [Test]
    public void KernelsForHopperRunOnHopperOnly([Values] CpuProfile profile, [Values] CpuKernels kernels)
    {
        if (kernels == CpuKernels.Ptx && KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("this build holds no PTX");
        using Device device = Open(profile, kernels);
        void Find() => device.Kernel<HopperProbeArgs>("hopper_probe_sm90", "hopper_probe_load");
        if (profile is CpuProfile.None or CpuProfile.H100 or CpuProfile.H200)
        {
            Assert.That(Find, Throws.Nothing);
        }
        else
        {
            Assert.That(
                Find,
                Throws
                    .TypeOf<PlatformNotSupportedException>()
                    .With.Message.StartsWith("the kernels of hopper_probe_sm90 need compute capability 9.0")
            );
        }
    }

    private static Device Open(CpuProfile profile, CpuKernels? kernels = null) =>
        Device.Cpu(new CpuDeviceOptions { Profile = profile, Kernels = kernels });
}
