namespace Spectral.Kernels.Quantization;

/// <summary>Names the sets of values that the codes of a quantised weight stand for.</summary>
public enum WeightFormat
{
    /// <summary>
    /// NormalFloat of 4 bits: quantiles of a normal distribution between −1 and 1 (Dettmers et al., "QLoRA", 2023).
    /// </summary>
    Nf4,

    /// <summary>
    /// Floating point of 4 bits as bitsandbytes has it, between −1 and 1; the values are not in the order of the codes.
    /// </summary>
    Fp4,

    /// <summary>
    /// Floating point of 8 bits, E4M3 without infinities, up to 448 (Micikevicius et al., "FP8 Formats for Deep
    /// Learning", 2022).
    /// </summary>
    Fp8,

    /// <summary>Signed integer of 8 bits; −127 to 127 where this library makes the codes.</summary>
    Int8,

    /// <summary>
    /// Floating point of 4 bits, E2M1, up to 6, with scales that are powers of two (Open Compute Project, "OCP
    /// Microscaling Formats (MX) Specification", 2023).
    /// </summary>
    Mxfp4,
}
