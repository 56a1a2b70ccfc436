namespace Spectral.Kernels.Quantization;

/// <summary>Says what the codes of a quantised weight stand for and which elements share a scale.</summary>
/// <param name="Format">Values of the codes.</param>
/// <param name="Grid">Elements of a scale.</param>
public sealed record QuantizedLayout(WeightFormat Format, ScaleGrid Grid)
{
    /// <summary>
    /// Returns the layout in which weights are quantised when nothing else is asked for: blocks of 64 for 4 bits as
    /// QLoRA has them, a scale per row for INT8, one per tile of 128 × 128 for FP8 and one per 32 columns for MXFP4.
    /// </summary>
    public static QuantizedLayout For(WeightFormat format) =>
        new(
            format,
            format switch
            {
                WeightFormat.Nf4 or WeightFormat.Fp4 => ScaleGrid.Flat(64),
                WeightFormat.Fp8 => ScaleGrid.Tiles(128, 128),
                WeightFormat.Int8 => ScaleGrid.PerRow,
                _ => ScaleGrid.Tiles(1, 32),
            }
        );
}
