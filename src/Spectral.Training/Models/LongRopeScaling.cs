using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Divides the angle of each pair by a factor of its own, which differs between short and long sequences (Ding et al.,
/// "LongRoPE", 2024).
/// </summary>
/// <remarks>
/// All positions of a sequence turn with the factors for its whole length: in generation, of the prompt with the tokens
/// that may follow it.
/// </remarks>
/// <param name="ShortFactors">The divisors for sequences as long as those of pretraining, one for each pair.</param>
/// <param name="LongFactors">The divisors for longer sequences.</param>
/// <param name="OriginalMaxPositions">The length of the sequences of pretraining.</param>
/// <param name="Amplitude">The factor on cosines and sines.</param>
public sealed record LongRopeScaling(
    IReadOnlyList<double> ShortFactors,
    IReadOnlyList<double> LongFactors,
    int OriginalMaxPositions,
    double Amplitude
) : RopeScaling
{
    internal const string Name = "longrope";
    private const string ShortKey = "short_factor";
    private const string LongKey = "long_factor";
    private const string AmplitudeKey = "attention_factor";

    /// <inheritdoc/>
    public override string Type => Name;

    /// <inheritdoc/>
    public override double Amplitude { get; } = Amplitude;

    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int size, int positions)
    {
        IReadOnlyList<double> factors = positions > OriginalMaxPositions ? LongFactors : ShortFactors;
        return [.. Unscaled(theta, size).Zip(factors, (frequency, factor) => frequency / factor)];
    }

    /// <inheritdoc/>
    public override int Representative(int positions) =>
        positions > OriginalMaxPositions ? OriginalMaxPositions + 1 : 1;

    /// <summary>Returns whether the amplitude is that of a config with so many positions that gives none.</summary>
    internal bool FollowsFrom(int maxPositions) =>
        Amplitude == AmplitudeOf(maxPositions / (double)OriginalMaxPositions, OriginalMaxPositions);

    internal override void WriteFields(Utf8JsonWriter json)
    {
        WriteFactors(json);
        json.WriteNumber(OriginalMaxPositionsKey, OriginalMaxPositions);
        json.WriteNumber(AmplitudeKey, Amplitude);
    }

    /// <summary>Writes the divisors for short and for long sequences.</summary>
    internal void WriteFactors(Utf8JsonWriter json)
    {
        Write(ShortKey, ShortFactors);
        Write(LongKey, LongFactors);

        void Write(string key, IReadOnlyList<double> factors)
        {
            json.WriteStartArray(key);
            foreach (double factor in factors)
                json.WriteNumberValue(factor);
            json.WriteEndArray();
        }
    }

    // The longer the sequences beside those of pretraining, the sharper attention.
    private static double AmplitudeOf(double factor, int pretrained) =>
        factor <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(factor) / Math.Log(pretrained)));

    internal static LongRopeScaling ReadFields(JsonFields fields, RopeContext context)
    {
        int? original = ReadOriginalMaxPositions(fields, context);
        double factor = original is { } length
            ? context.MaxPositions / (double)length
            : fields.Number("factor", 1, 1e6) ?? throw fields.Wrong("factor", "a number of at least 1");
        int pretrained = original ?? context.MaxPositions;
        if (pretrained == 1)
            throw fields.Wrong(OriginalMaxPositionsKey, "at least 2");
        double amplitude = fields.Number(AmplitudeKey, 1e-6, 1e6) ?? AmplitudeOf(factor, pretrained);
        return new LongRopeScaling(Factors(ShortKey), Factors(LongKey), pretrained, amplitude);

        double[] Factors(string key)
        {
            string wanted = $"a list of {context.Size / 2} numbers, one for each pair of features of a head";
            if (fields.Array(key) is not { } list || list.GetArrayLength() != context.Size / 2)
                throw fields.Wrong(key, wanted);
            return
            [
                .. list.EnumerateArray()
                    .Select(value =>
                        value.ValueKind == JsonValueKind.Number
                        && value.GetDouble() is > 0 and < double.PositiveInfinity
                            ? value.GetDouble()
                            : throw fields.Wrong(key, value, "a positive number")
                    ),
            ];
        }
    }
}
