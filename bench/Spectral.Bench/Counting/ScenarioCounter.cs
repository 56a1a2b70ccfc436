using Spectral.Kernels;

namespace Spectral.Bench.Counting;

/// <summary>Counts what our variants of the benchmark's scenarios do, on a CPU device that runs PTX.</summary>
internal static class ScenarioCounter
{
    /// <summary>Counts the cases and shapes that match a filter, one variant after the other.</summary>
    /// <exception cref="UsageException">Nothing matches.</exception>
    public static IEnumerable<CountedVariant> Count(Machine machine, string filter) =>
        BenchCase.Choose(machine, filter).SelectMany(chosen => Count(machine, chosen.Case, chosen.Plan));

    private static IEnumerable<CountedVariant> Count(Machine machine, BenchCase benchCase, Plan plan)
    {
        using Scenario scenario = plan.Prepare();
        foreach (Variant variant in scenario.Variants)
        {
            if (Count(machine, benchCase, plan, variant) is { } counted)
                yield return counted;
        }
    }

    /// <summary>
    /// Runs a variant of a prepared plan once. Null for a variant that is not ours, one that this device or the target
    /// refuses, and one that is a whole program.
    /// </summary>
    public static CountedVariant? Count(Machine machine, BenchCase benchCase, Plan plan, Variant variant)
    {
        IReadOnlyList<CountedLaunch> launches = IsOurs(variant) ? Run(machine.Device, variant) : [];
        return launches.Count == 0
            ? null
            : new CountedVariant(
                benchCase.Name,
                benchCase.Target,
                plan.Shape,
                variant.Name,
                variant.Bytes,
                variant.Flops,
                launches
            );
    }

    private static bool IsOurs(Variant variant) =>
        variant is { Role: Role.Ours, Reason: null, Measure: null, IsProgram: false };

    private static IReadOnlyList<CountedLaunch> Run(Device device, Variant variant)
    {
        device.Variants.Clear();
        using var counting = new Counting(device, device.MultiprocessorCount);
        variant.Run(0);
        IReadOnlyList<CountedLaunch> launches = counting.Launches();
        return device.Variants.All.Any(use => use.Refusal is not null) ? [] : launches;
    }
}
