using Spectral.Kernels.Driver;
using Spectral.Kernels.Tests.Support;

namespace Spectral.Kernels.Tests;

/// <summary>Every kernel descriptor against what the native compiler knows of the kernel.</summary>
public sealed class KernelEntryTests
{
    private IReadOnlyDictionary<string, string> _facts = null!;

    [OneTimeSetUp]
    public void Load()
    {
        Devices.RequireSourceKernels("only the kernels' source registers its launch facts");
        KernelEntry any = KernelEntries.All[0];
        _ = Devices.Get(DeviceKind.Cpu).Kernel(any.Module, any.Names[0]); // facts are registered with the image
        _facts = DriverApi
            .Cpu.KernelFacts()
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(' ', 2))
            .ToDictionary(parts => parts[0], parts => parts[1]);
    }

    [TestCaseSource(typeof(KernelEntries), nameof(KernelEntries.Cases))]
    public void SaysWhatTheKernelIs(KernelEntry entry, string name)
    {
        string said =
            $"{entry.ArgumentBytes} {entry.Threads} {entry.ClusterBlocks} {entry.ConstantSharedBytes ?? -1}"
            + $" {entry.StaticSharedBytes}";
        Assert.That(
            said,
            Is.EqualTo(_facts[name]),
            "argument bytes, threads, blocks per cluster, shared bytes, static shared bytes"
        );
    }

    [Test]
    public void EveryKernelHasOneDescriptor() =>
        Assert.That(KernelEntries.All.SelectMany(entry => entry.Names), Is.EquivalentTo(_facts.Keys));
}
