using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Building;

/// <summary>The seed by which PEFT draws frozen random factors: what a file leaves out is drawn again.</summary>
internal static class ProjectionSeed
{
    private const string Name = "projection-seed";

    /// <summary>The setting.</summary>
    /// <param name="value">PEFT's default.</param>
    /// <param name="peftKey">PEFT's key.</param>
    public static AdapterSetting Setting(int value, string peftKey) =>
        new(
            Name,
            value,
            int.MinValue,
            uint.MaxValue,
            "Seed of the frozen random factors, which are PEFT's for the same seed."
        )
        {
            IsWhole = true,
            PeftKey = peftKey,
        };

    /// <summary>The generator, <paramref name="offset"/> seeds further.</summary>
    public static TorchGenerator Generator(AdapterBuilder layer, int offset = 0) =>
        new((long)layer.Setting(Name) + offset);
}
