using Spectral.Kernels.Ops;

namespace Spectral.Bench.Counting;

/// <summary>Counts what our variants of the benchmark's scenarios do, on a CPU device that runs PTX.</summary>
internal sealed class ScenarioCounter(Machine machine)
{
    /// <summary>
    /// Runs each of our variants of a plan once. A variant that this device or the target refuses is left out, and one
    /// that measures itself: it is a whole program.
    /// </summary>
    public IEnumerable<CountedVariant> Count(BenchCase benchCase, Plan plan)
    {
        using Scenario scenario = plan.Prepare();
        foreach (Variant variant in scenario.Variants.Where(IsOurs))
        {
            IReadOnlyList<CountedLaunch> launches = Run(variant);
            if (launches.Count == 0)
                continue;
            yield return new CountedVariant(
                benchCase.Name,
                benchCase.Target,
                plan.Shape,
                variant.Name,
                variant.Bytes,
                variant.Flops,
                launches
            );
        }
    }

    private static bool IsOurs(Variant variant) => variant is { Role: Role.Ours, Reason: null, Measure: null };

    private IReadOnlyList<CountedLaunch> Run(Variant variant)
    {
        machine.Device.Variants.Clear();
        using var counting = new Counting(machine.Device);
        variant.Run(0);
        IReadOnlyList<CountedLaunch> launches = counting.Launches();
        return machine.Device.Variants.All.Any(use => use.Refusal is not null) ? [] : launches;
    }
}
