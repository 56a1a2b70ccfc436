using Spectral.Kernels.Driver;

namespace Spectral.Bench.Baselines;

/// <summary>
/// Baselines with cuBLASLt's fastest algorithm in place of cuBLAS' own choice: a twin <c>NAME-lt</c> of each, same
/// sequence, same check, same role. Ratios divide by the faster of the two.
/// </summary>
internal static class LtBaselines
{
    public const string Suffix = "-lt";

    /// <summary>
    /// Adds the twins of a scenario's baselines in these roles; where the library is not on this machine they are there
    /// as unavailable.
    /// </summary>
    /// <param name="scenario">With its baselines in place.</param>
    /// <param name="open">Gives the library, or throws what <see cref="BlasLt(Machine)"/> does.</param>
    /// <param name="roles">Which baselines.</param>
    public static void Add(Scenario scenario, Func<BlasLt> open, params Role[] roles)
    {
        Variant[] baselines = [.. scenario.Variants.Where(variant => roles.Contains(variant.Role))];
        BlasLt? library = Open(open, out string reason);
        foreach (Variant baseline in baselines)
        {
            scenario.Variants.Insert(
                scenario.Variants.IndexOf(baseline) + 1,
                library is null
                    ? Variant.Unavailable(baseline.Name + Suffix, reason, baseline.Role)
                    : Twin(baseline, library)
            );
        }
    }

    /// <summary>The library, or null and why it cannot be used here.</summary>
    public static BlasLt? Open(Func<BlasLt> open, out string reason)
    {
        try
        {
            reason = "";
            return open();
        }
        catch (Exception missing) when (missing is DllNotFoundException or EntryPointNotFoundException or CudaException)
        {
            reason = missing.Message;
            return null;
        }
    }

    private static Variant Twin(Variant baseline, BlasLt library) =>
        baseline with
        {
            Name = baseline.Name + Suffix,
            Run = copy => library.Use(() => baseline.Run(copy)),
            Check = () =>
            {
                string? complaint = null;
                library.Use(() => complaint = baseline.Check());
                return complaint;
            },
        };
}
