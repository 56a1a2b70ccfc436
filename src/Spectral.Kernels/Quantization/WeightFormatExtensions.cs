namespace Spectral.Kernels.Quantization;

/// <summary>Gives the name and the code size of a <see cref="WeightFormat"/>.</summary>
public static class WeightFormatExtensions
{
    /// <summary>Returns the size of a code in bits: 4 or 8.</summary>
    public static int Bits(this WeightFormat format) => format is WeightFormat.Fp8 or WeightFormat.Int8 ? 8 : 4;

    /// <summary>
    /// Returns the name of a format as options and errors have it: <c>nf4</c>, <c>fp4</c>, <c>fp8</c>, <c>int8</c> or
    /// <c>mxfp4</c>.
    /// </summary>
    public static string Name(this WeightFormat format) =>
        format switch
        {
            WeightFormat.Nf4 => "nf4",
            WeightFormat.Fp4 => "fp4",
            WeightFormat.Fp8 => "fp8",
            WeightFormat.Int8 => "int8",
            _ => "mxfp4",
        };
}
