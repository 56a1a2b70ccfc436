using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// The seed from which PEFT draws frozen random factors, so that those missing from a file can be drawn again.
/// </summary>
internal static class ProjectionSeed
{
    private const string Name = "projection-seed";

    /// <summary>Creates the seed setting.</summary>
    /// <param name="value">The default in PEFT.</param>
    /// <param name="peftKey">The key in PEFT's config.</param>
    public static AdapterSetting Setting(int value, string peftKey) =>
        new(
            Name,
            value,
            int.MinValue,
            uint.MaxValue,
            "Seed of the frozen random factors, which equal PEFT's for the same seed."
        )
        {
            IsWhole = true,
            PeftKey = peftKey,
        };

    /// <summary>Creates PyTorch's generator for the seed plus <paramref name="offset"/>.</summary>
    public static TorchGenerator Generator(AdapterBuilder layer, int offset = 0) =>
        new((long)layer.Setting(Name) + offset);
}
