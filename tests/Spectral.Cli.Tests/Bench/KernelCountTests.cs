using System.Text.RegularExpressions;
using Spectral.Bench;
using Spectral.Bench.Counting;
using Spectral.Kernels;

namespace Spectral.Cli.Tests.Bench;

/// <summary>
/// Holds what our kernels cost, as counted on the CPU device as it runs their PTX: bank conflicts, local memory,
/// whole sectors, the bytes of the contract. The counts depend on no machine, so a change that costs more fails here.
/// </summary>
[TestFixture(CpuProfile.A100)]
[TestFixture(CpuProfile.H200)]
public sealed partial class KernelCountTests(CpuProfile profile)
{
    private const string Cases = "main-loop y 4096,main-loop dx 256,passes,merge 256,attention,svd 512,kernels";

    // Passes that clear what dropout drops in shared memory, in layers of little depth.
    private const string DropoutCases = "lorafusion step";

    // Instructions one by one, for tests alone.
    private const string Probe = "hopper_probe_sm90";

    private readonly List<CountedVariant> _counted = [];
    private readonly List<CountedVariant> _withDropout = [];

    private IEnumerable<CountedLaunch> Launches => _counted.SelectMany(variant => variant.Launches);

    [OneTimeSetUp]
    public void Count()
    {
        if (KernelLibrary.Architectures.Count == 0)
            Assert.Ignore("this build has no PTX");
        using var machine = new Machine(
            Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Ptx, Profile = profile }),
            Extent.Counted
        );
        _counted.AddRange(ScenarioCounter.Count(machine, Cases));
        _withDropout.AddRange(ScenarioCounter.Count(machine, DropoutCases));
    }

    [OneTimeTearDown]
    public void LeaveTheProfile() => Device.Cpu(new CpuDeviceOptions { Profile = CpuProfile.None }).Dispose();

    [Test]
    public void EveryCaseIsCounted() =>
        Assert.That(
            _counted.Select(variant => variant.Case).Distinct(),
            Is.EquivalentTo(new[] { "main-loop", "passes", "merge", "attention", "svd", "kernels" })
        );

    /// <summary>A new kernel needs a line in the benchmark's scenarios (<c>Cases/SingleKernels</c>).</summary>
    [Test]
    public void EveryKernelOfTheLibraryIsCounted()
    {
        string target = profile == CpuProfile.A100 ? "sm_80" : "sm_90a";
        IEnumerable<string> kernels = KernelLibrary
            .Ptx(target)
            .Where(module => module.Key != Probe)
            .SelectMany(module => EntryDirective().Matches(module.Value), (_, entry) => entry.Groups[1].Value);
        Assert.That(kernels.Except(Launches.Select(launch => launch.Kernel)), Is.Empty);
    }

    [Test]
    public void NoMoreBankConflictsThanKnown() =>
        Each(
            launch => 1000.0 * launch["shared_bank_conflicts"] / Math.Max(1, launch["shared_wavefronts"]),
            launch => KnownCosts.ConflictsPerThousand.GetValueOrDefault(launch.Kernel)
        );

    [TestCase("low_rank_project_32_bf16")]
    [TestCase("low_rank_input_gradient_32_bf16")]
    public void APassWithDropoutHasNoBankConflicts(string kernel)
    {
        CountedLaunch[] launches =
        [
            .. _withDropout.SelectMany(variant => variant.Launches).Where(launch => launch.Kernel == kernel),
        ];
        Assert.That(launches, Is.Not.Empty);
        Assert.That(launches.Select(launch => launch["shared_bank_conflicts"]), Is.All.Zero);
    }

    [Test]
    public void NoMoreLocalMemoryThanKnown() =>
        Each(launch => launch["local_bytes"], launch => KnownCosts.LocalBytes.GetValueOrDefault(launch.Kernel));

    [Test]
    public void SectorsAreWhole() =>
        Each(launch => launch.ExcessPercent, launch => KnownCosts.ExcessPercent.GetValueOrDefault(launch.Kernel));

    [Test]
    public void AKernelThatIsAVariantMovesTheBytesOfItsContract()
    {
        CountedVariant[] single = [.. _counted.Where(variant => variant is { Launches.Count: 1, Bytes: > 0 })];
        Assert.That(single, Has.Length.AtLeast(4));
        foreach (CountedVariant variant in single)
        {
            Assert.That(
                variant.Total.DistinctBytes / variant.Bytes,
                Is.EqualTo(KnownCosts.OfContract.GetValueOrDefault(variant.Launches[0].Kernel, 1)).Within(0.02),
                $"{variant.Case} {variant.Shape} {variant.Variant}"
            );
        }
    }

    [Test]
    public void WorkTakesNoMoreInstructionsThanNow()
    {
        foreach (CountedVariant variant in _counted.Where(variant => variant.Launches.Count == 1))
        {
            CountedLaunch launch = variant.Launches[0];
            if (!KnownCosts.InstructionsPerThousand.TryGetValue(launch.Kernel, out double most))
                continue;
            Assert.That(
                1000.0 * launch["instructions"] / variant.Flops,
                Is.InRange(0.5 * most, most),
                $"{variant.Shape} {launch.Kernel}"
            );
        }
    }

    [GeneratedRegex(@"\.entry (\w+)")]
    private static partial Regex EntryDirective();

    private void Each(Func<CountedLaunch, double> cost, Func<CountedLaunch, double> most)
    {
        Assert.That(Launches, Is.Not.Empty);
        Assert.Multiple(() =>
        {
            foreach (IGrouping<string, CountedLaunch> kernel in Launches.GroupBy(launch => launch.Kernel))
                Assert.That(kernel.Max(cost), Is.LessThanOrEqualTo(most(kernel.First())), kernel.Key);
        });
    }
}
