using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>Forces how low-rank layers run, for the length of one call.</summary>
internal static class LowRankChoices
{
    /// <summary>Every variant that takes operands as they are; <see cref="AugmentedLayer"/> lays out its own.</summary>
    public static IEnumerable<LowRankVariant> Variants =>
        Enum.GetValues<LowRankVariant>().Where(variant => variant != LowRankVariant.Augmented);

    public static void With(Device device, LowRankVariant? variant, LowRankPassKind? passes, Action run)
    {
        (LowRankVariant? variantBefore, LowRankPassKind? passesBefore) = (
            LowRankLinear.Forced(device),
            LowRank.ForcedPasses(device)
        );
        Force(device, variant, passes);
        try
        {
            run();
        }
        finally
        {
            Force(device, variantBefore, passesBefore);
        }
    }

    private static void Force(Device device, LowRankVariant? variant, LowRankPassKind? passes)
    {
        LowRankLinear.Force(device, variant);
        LowRank.ForcePasses(device, passes);
    }

    /// <summary>Runs once and throws when the forced variant did not apply and another ran instead.</summary>
    /// <exception cref="NotApplicableException">With the variant's reason.</exception>
    public static void Try(Device device, Action run)
    {
        device.Variants.Clear();
        run();
        foreach (VariantUse use in device.Variants.All)
        {
            if (use.Refusal is { } refusal)
                throw new NotApplicableException(refusal);
        }
    }

    /// <summary>
    /// What stands in for the sequences A and B of library calls alone, and after them every variant of ours with our
    /// passes.
    /// </summary>
    public static IEnumerable<(string Name, Role Role, LowRankVariant Variant, LowRankPassKind Passes)> All =>
        [
            ("A", Role.A, LowRankVariant.ComposedA, LowRankPassKind.Blas),
            ("B", Role.B, LowRankVariant.ComposedB, LowRankPassKind.Blas),
            .. Variants.Select(variant => (LowRankLinear.NameOf(variant), Role.Ours, variant, LowRankPassKind.Kernels)),
        ];
}
