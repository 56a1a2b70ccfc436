using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Divides the angles of long wavelengths by a factor, keeps those of short ones, and blends in between (Grattafiori et
/// al., "The Llama 3 Herd of Models", 2024).
/// </summary>
/// <param name="Factor">The factor by which sequences get longer.</param>
/// <param name="LowFrequencyFactor">Wavelengths above the original length over this are divided.</param>
/// <param name="HighFrequencyFactor">Wavelengths below the original length over this are kept.</param>
/// <param name="OriginalMaxPositions">The length of the sequences of pretraining.</param>
public sealed record Llama3Scaling(
    double Factor,
    double LowFrequencyFactor,
    double HighFrequencyFactor,
    int OriginalMaxPositions
) : RopeScaling
{
    internal const string Name = "llama3";

    /// <inheritdoc/>
    public override string Type => Name;

    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int size, int positions) =>
        Array.ConvertAll(Unscaled(theta, size), Scaled);

    internal override void WriteFields(Utf8JsonWriter json)
    {
        json.WriteNumber("factor", Factor);
        json.WriteNumber("low_freq_factor", LowFrequencyFactor);
        json.WriteNumber("high_freq_factor", HighFrequencyFactor);
        json.WriteNumber(OriginalMaxPositionsKey, OriginalMaxPositions);
    }

    internal static Llama3Scaling ReadFields(JsonFields fields, RopeContext context)
    {
        double low =
            fields.Number("low_freq_factor", 1e-6, 1e6) ?? throw fields.Wrong("low_freq_factor", "a positive number");
        double high =
            fields.Number("high_freq_factor", 1e-6, 1e6) ?? throw fields.Wrong("high_freq_factor", "a positive number");
        if (high <= low)
            throw fields.Wrong("high_freq_factor", $"more than low_freq_factor, which is {low}");
        int original =
            ReadOriginalMaxPositions(fields, context)
            ?? fields.RequiredInteger(OriginalMaxPositionsKey, 1, ModelConfig.MaximumPositions);
        return new Llama3Scaling(ReadFactor(fields), low, high, original);
    }

    private double Scaled(double frequency)
    {
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength < OriginalMaxPositions / HighFrequencyFactor)
            return frequency;
        if (wavelength > OriginalMaxPositions / LowFrequencyFactor)
            return frequency / Factor;
        double t =
            ((OriginalMaxPositions / wavelength) - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return ((1 - t) * frequency / Factor) + (t * frequency);
    }
}
