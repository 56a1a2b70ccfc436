using Spectral.Training.IO;

namespace Spectral.Training.Quantization;

/// <summary>
/// Weights as bitsandbytes stores them: 4-bit codes in flat blocks (<c>load_in_4bit</c>) or a signed byte with a scale
/// for each row (<c>load_in_8bit</c>).
/// </summary>
internal sealed class BitsandbytesForm : StoredForm
{
    /// <summary>What <c>quant_method</c> says.</summary>
    public const string MethodName = "bitsandbytes";

    /// <inheritdoc/>
    public override string Method => MethodName;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Companions => [.. FourBitWeight.Companions, .. EightBitWeight.Companions];

    /// <summary>Returns the size of the codes that settings ask for; null: neither size.</summary>
    /// <exception cref="InputException">They ask for both sizes.</exception>
    public static int? Bits(JsonFields settings)
    {
        bool four = settings.Boolean("load_in_4bit") ?? false;
        bool eight = settings.Boolean("load_in_8bit") ?? false;
        if (four && eight)
            throw settings.Wrong("load_in_8bit", "false beside load_in_4bit");
        if (four)
            return 4;
        return eight ? 8 : null;
    }

    /// <inheritdoc/>
    public override void Check(JsonFields settings)
    {
        if (Bits(settings) is null)
            throw settings.Wrong("load_in_4bit", "true, or load_in_8bit true");
    }

    /// <inheritdoc/>
    public override StoredWeight Open(WeightParts parts, QuantizationSettings settings) =>
        Bits(settings.Fields) == 4 ? FourBitWeight.Open(parts) : EightBitWeight.Open(parts, settings);
}
