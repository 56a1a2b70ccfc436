namespace Spectral.Kernels;

/// <summary>Records the variant that an op used.</summary>
/// <param name="What">Op, direction and type, e.g. <c>low_rank_linear forward bf16</c>.</param>
/// <param name="Variant">Name of the variant that ran.</param>
/// <param name="Forced">The variant that was forced and does not apply; null when none was.</param>
/// <param name="Refusal">Why the forced variant does not apply; null when none was forced.</param>
public readonly record struct VariantUse(string What, string Variant, string? Forced, string? Refusal)
{
    /// <summary>The variant that ran and, if another was forced, why that one did not.</summary>
    public string Choice => Forced is null ? Variant : $"{Variant} ({Forced} does not apply: {Refusal})";

    /// <inheritdoc/>
    public override string ToString() => $"{What}: {Choice}";
}
