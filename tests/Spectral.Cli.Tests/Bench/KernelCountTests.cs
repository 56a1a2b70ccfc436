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
public sealed class KernelCountTests(CpuProfile profile)
{
    private const string Cases = "main-loop y 4096,main-loop dx 256,passes,merge 256,attention,svd 512";

    /// <summary>
    /// Percent of the sectors that better coalescing would save, where it is more than none. Kernels that are missing
    /// here access whole sectors only.
    /// </summary>
    private static readonly Dictionary<string, double> ExcessPercent = new()
    {
        // Fragments of g, z and partial sums: a warp stores 16 bytes of each of eight rows.
        ["low_rank_project_32_bf16"] = 9.1,
        ["low_rank_output_gradients_32_bf16"] = 17.6,
        // A warp reads one partial sum of each of 32 blocks: a few KB in all.
        ["low_rank_middle_gradient_f32"] = 87.2,
        // One sum for each row, of a warp.
        ["flash_attention_delta"] = 4.5,
        // Columns of row-major matrices that are narrow or small, in L2 as a rule.
        ["matrix_copy_bf16"] = 75,
        ["matrix_scan_f32"] = 49.4,
        ["gram_partial"] = 47,
        ["gram_reduce"] = 31,
        ["cholesky_scale"] = 74,
        ["cholesky_finish"] = 80.7,
        ["svd_truncate"] = 86.3,
        ["matrix_transpose_f32"] = 60,
    };

    /// <summary>Bank conflicts per thousand wavefronts, where there are any.</summary>
    private static readonly Dictionary<string, double> ConflictsPerThousand = new()
    {
        // nvcc splits an eighth of the stores of fragment pairs into words, which two rows then have in one bank.
        ["low_rank_linear_forward_bf16"] = 1.3,
        ["low_rank_linear_input_gradient_bf16"] = 1.3,
    };

    /// <summary>
    /// Most PTX instructions per thousand operations of the contract, of the kernels that do most work.
    /// </summary>
    private static readonly Dictionary<string, double> InstructionsPerThousand = new()
    {
        ["low_rank_linear_forward_bf16"] = 1.36,
        ["low_rank_linear_input_gradient_bf16"] = 1.36,
        ["low_rank_linear_hopper_forward_bf16"] = 0.165,
        ["low_rank_linear_hopper_input_gradient_bf16"] = 0.165,
        ["low_rank_merge_bf16"] = 51.8,
        ["flash_attention_forward_128"] = 2.45,
    };

    private readonly List<CountedVariant> _counted = [];

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
    }

    [OneTimeTearDown]
    public void LeaveTheProfile() => Device.Cpu(new CpuDeviceOptions { Profile = CpuProfile.None }).Dispose();

    [Test]
    public void EveryCaseIsCounted() =>
        Assert.That(
            _counted.Select(variant => variant.Case).Distinct(),
            Is.EquivalentTo(new[] { "main-loop", "passes", "merge", "attention", "svd" })
        );

    [Test]
    public void NoMoreBankConflictsThanKnown() =>
        Each(
            launch => 1000.0 * launch["shared_bank_conflicts"] / Math.Max(1, launch["shared_wavefronts"]),
            launch => ConflictsPerThousand.GetValueOrDefault(launch.Kernel)
        );

    [Test]
    public void NoKernelUsesLocalMemory() => Each(launch => launch["local_bytes"], _ => 0);

    [Test]
    public void SectorsAreWhole() =>
        Each(launch => launch.ExcessPercent, launch => ExcessPercent.GetValueOrDefault(launch.Kernel));

    [Test]
    public void AKernelThatIsAVariantMovesTheBytesOfItsContract()
    {
        CountedVariant[] single = [.. _counted.Where(variant => variant is { Launches.Count: 1, Bytes: > 0 })];
        Assert.That(single, Has.Length.AtLeast(4));
        foreach (CountedVariant variant in single)
        {
            Assert.That(
                variant.Total.DistinctBytes / variant.Bytes,
                Is.EqualTo(1).Within(0.02),
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
            if (!InstructionsPerThousand.TryGetValue(launch.Kernel, out double most))
                continue;
            Assert.That(
                1000.0 * launch["instructions"] / variant.Flops,
                Is.InRange(0.5 * most, most),
                $"{variant.Shape} {launch.Kernel}"
            );
        }
    }

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
