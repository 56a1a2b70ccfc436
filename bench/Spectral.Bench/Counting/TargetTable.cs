using System.Globalization;
using System.Text.RegularExpressions;
using Spectral.Kernels;

namespace Spectral.Bench.Counting;

/// <summary>
/// Markdown for docs/performance.md: bounds at the sizes of the targets, beside what the targets allow. Bytes are those
/// of the contract at full size. The rest was counted at small sizes of the parts that the work consists of, and is
/// multiplied by the ratio of their operations; of several small sizes the one counts that needs the least. Products
/// that are left to the library take their operations at the rate of the tensor cores, launches no time.
/// </summary>
internal sealed partial class TargetTable
{
    /// <summary>Work that has a target, and the scenarios that count its parts.</summary>
    private sealed record Row(int Target, string Case, string Kind, params Part[] Parts);

    /// <summary>A part that is counted.</summary>
    /// <param name="Case">The case that counts it.</param>
    /// <param name="Kind">What its shapes say before their sizes.</param>
    /// <param name="Grows">
    /// Beginning of the names of those kernels whose work grows with the operations; what the others do at the small
    /// size is the least that they do. Null: all grow.
    /// </param>
    private sealed record Part(string Case, string Kind, string? Grows = null);

    private static readonly Part Forward = new("main-loop", "y ");
    private static readonly Part Backward = new("main-loop", "dx ");
    private static readonly Part Project = new("passes", "project ");
    private static readonly Part OutputGradients = new("passes", "output-gradients ");
    private static readonly Part InputGradient = new("passes", "input-gradient ");

    private static readonly Row[] Rows =
    [
        new(1, "forward", "", Forward, Project),
        new(2, "backward", "", Backward, OutputGradients, InputGradient),
        new(3, "rescale-backward", "", Backward), // its pass has no dL, which is counted only with it
        new(4, "forward-small", "", Forward), // the passes divide few tokens otherwise than many
        new(4, "backward-small", "", Backward),
        new(5, "lorafusion", "step ", new Part("lorafusion", "step ")),
        new(6, "main-loop", "y ", Forward),
        new(6, "main-loop", "dx ", Backward),
        new(7, "passes", "project ", Project),
        new(7, "passes", "output-gradients ", OutputGradients),
        new(7, "passes", "input-gradient ", InputGradient),
        new(8, "svd", "", new Part("svd-one-block", "", Grows: "sketch_apply")),
        new(9, "merge", "", new Part("merge", "")),
        new(12, "attention", "forward S=", new Part("attention", "forward S=")),
        new(12, "attention", "backward S=", new Part("attention", "backward S=")),
    ];

    private readonly List<CountedVariant> _counted = [];
    private readonly Machine _full;
    private readonly DeviceRates _rates;

    private TargetTable(CpuProfile profile)
    {
        using (
            var small = new Machine(
                Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Ptx, Profile = profile }),
                Extent.Counted
            )
        )
        {
            string cases = string.Join(',', Rows.SelectMany(row => row.Parts).Select(part => part.Case).Distinct());
            _rates = new DeviceRates(small.Device);
            _counted.AddRange(ScenarioCounter.Count(small, cases));
        }
        _full = new Machine(
            Device.Cpu(new CpuDeviceOptions { Kernels = CpuKernels.Source, Profile = profile }),
            Extent.Quick
        )
        {
            IsDry = true,
        };
    }

    /// <summary>The lines of the table for one GPU.</summary>
    public static IEnumerable<string> Lines(CpuProfile profile)
    {
        yield return $"| target | on {profile} | variant | hbm, µs | on chip, µs | bound, µs | allowed, µs "
            + "| bound / allowed |";
        yield return "| --- | --- | --- | --- | --- | --- | --- | --- |";
        var table = new TargetTable(profile);
        using (table._full)
        {
            foreach (string line in Rows.SelectMany(table.Lines))
                yield return line;
        }
    }

    private IEnumerable<string> Lines(Row row)
    {
        foreach (Plan plan in PlansOf(row.Case, row.Kind))
        {
            using Scenario contract = plan.Prepare();
            string sizes = plan.Shape[row.Kind.Length..];
            // The first part says in which variants the work is done; the passes have one.
            foreach (string name in CountedOf(row.Parts[0]).Select(counted => counted.Variant).Distinct())
            {
                // Tiles of their own stand in the table of the main loop alone.
                if (contract.Variants.FirstOrDefault(found => found.Name == name) is not { } variant)
                    continue;
                // Parts that need more shared memory than this GPU has were not counted.
                Bound[]?[] parts = [.. row.Parts.Select(part => OnChip(part, name, sizes, variant.Flops))];
                if (Array.Exists(parts, part => part is null))
                    continue;
                yield return Line(
                    row.Target,
                    $"{row.Case} {plan.Shape}",
                    variant,
                    [.. parts.SelectMany(part => part!)],
                    contract.Variants
                );
            }
        }
    }

    private string Line(int target, string work, Variant variant, Bound[] parts, IEnumerable<Variant> all)
    {
        double memory = variant.Bytes / _rates.MemoryGBs / 1e3;
        double onChip = parts.Sum(part => part.Microseconds);
        double bound = Math.Max(onChip, memory);
        double? allowed = Allowed(target, variant, all);
        return $"| {target} | {work} | {variant.Name} | {Number(memory)} "
            + $"| {Number(onChip)} ({string.Join(", ", parts.Select(part => part.By).Distinct())}) | {Number(bound)} "
            + $"| {Number(allowed)} | {Number(bound / allowed)} |";
    }

    /// <summary>The bounds of a part at full size, its memory aside; null: it was not counted.</summary>
    private Bound[]? OnChip(Part part, string variant, string sizes, double flops)
    {
        IEnumerable<CountedVariant> counted = CountedOf(part)
            .Where(counted => counted.Variant == variant || part.Case == "passes");
        if (part.Grows is { } grows)
        {
            if (counted.SingleOrDefault() is not { } only)
                return null;
            ILookup<bool, CountedLaunch> launches = only.Launches.ToLookup(launch =>
                launch.Kernel.StartsWith(grows, StringComparison.Ordinal)
            );
            return
            [
                Bound.Of(_rates, [.. launches[true]], 0, flops / only.Flops),
                Bound.Of(_rates, [.. launches[false]], 0),
            ];
        }
        (Plan plan, double share) = FullPlan(part, sizes);
        using Scenario contract = plan.Prepare();
        return counted
            .Select(counted =>
            {
                double full = share * contract.Variants.First(found => found.Name == counted.Variant).Flops;
                double scale = full / counted.Flops;
                var ours = Bound.Of(_rates, counted.Launches, 0, scale);
                if (counted.IsWhole)
                    return new[] { ours };
                double left = full - scale * counted.Total.Operations;
                return [ours, new Bound(left / _rates.TensorTflops / 1e6, "library")];
            })
            .MinBy(bounds => bounds.Sum(bound => bound.Microseconds));
    }

    /// <summary>
    /// The plan of a part for these sizes, or for another number of tokens and which share of its work they are.
    /// </summary>
    private (Plan Plan, double Share) FullPlan(Part part, string sizes)
    {
        Plan[] plans = [.. PlansOf(part.Case, part.Kind)];
        if (plans.FirstOrDefault(plan => plan.Shape == part.Kind + sizes) is { } same)
            return (same, 1);
        string layer = Tokens().Replace(sizes, "");
        Plan other = plans.First(plan => Tokens().Replace(plan.Shape, "") == part.Kind + layer);
        return (other, TokensOf(sizes) / TokensOf(other.Shape));
    }

    private static double TokensOf(string shape) =>
        double.Parse(Tokens().Match(shape).Groups[1].ValueSpan, CultureInfo.InvariantCulture);

    private IEnumerable<Plan> PlansOf(string caseName, string kind) =>
        BenchCase
            .All.First(found => found.Name == caseName)
            .Plans(_full)
            .Where(plan => BeforeSizes().Match(plan.Shape).Value == kind);

    private IEnumerable<CountedVariant> CountedOf(Part part) =>
        _counted.Where(counted => counted.Case == part.Case && BeforeSizes().Match(counted.Shape).Value == part.Kind);

    /// <summary>
    /// The time that a target allows, where it is a share of the copy rate, or a ratio to the plain product, which is
    /// taken to run at the floor of its bytes and operations.
    /// </summary>
    private double? Allowed(int target, Variant variant, IEnumerable<Variant> all)
    {
        double? floor = all.Where(found => found.Name == "plain")
            .Min(found =>
                (double?)Math.Max(found.Bytes / _rates.MemoryGBs / 1e3, found.Flops / _rates.TensorTflops / 1e6)
            );
        return target switch
        {
            1 or 3 => 1.06 * floor,
            2 => 1.12 * floor,
            6 => floor / 0.97,
            7 or 9 => variant.Bytes / _rates.MemoryGBs / 1e3 / 0.85,
            8 when _rates.Profile == CpuProfile.H200 => 500,
            _ => null,
        };
    }

    /// <summary>What a shape says before its sizes, such as the direction.</summary>
    [GeneratedRegex(@"^\D*")]
    private static partial Regex BeforeSizes();

    [GeneratedRegex(@"M=(\d+)")]
    private static partial Regex Tokens();

    private static string Number(double? value) =>
        value?.ToString(value < 10 ? "F2" : "F1", CultureInfo.InvariantCulture) ?? "";
}
