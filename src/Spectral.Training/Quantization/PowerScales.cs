using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Scales that are powers of two, stored in a byte each: E8M0 of the OCP microscaling formats, code c for 2^(c − 127)
/// and 255 for NaN.
/// </summary>
/// <param name="stored">The tensor of the codes.</param>
internal sealed class PowerScales(SafetensorsTensor stored) : WeightScales
{
    private const int Bias = 127;
    private const byte NotANumber = 255;

    /// <inheritdoc/>
    public override void Read(long first, Span<float> destination)
    {
        ReadOnlySpan<byte> codes = stored.Slice(first, destination.Length);
        int other = codes.IndexOf(NotANumber);
        if (other >= 0)
        {
            throw new InputException(
                $"{stored.Path}: tensor {InputText.Quote(stored.Name)} holds "
                    + $"{FiniteValues.Describe(double.NaN, first + other, stored.Shape)}, expected finite scales"
            );
        }

        for (int i = 0; i < codes.Length; i++)
            destination[i] = MathF.ScaleB(1, codes[i] - Bias);
    }
}
