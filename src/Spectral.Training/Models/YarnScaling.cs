using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// Divides the angles of pairs that turn rarely within a sequence of pretraining, keeps those that turn often, blends
/// in between, and sharpens attention (Peng et al., "YaRN", 2023).
/// </summary>
/// <param name="Factor">The factor by which sequences get longer.</param>
/// <param name="OriginalMaxPositions">The length of the sequences of pretraining.</param>
public sealed record YarnScaling(double Factor, int OriginalMaxPositions) : RopeScaling
{
    internal const string Name = "yarn";
    private const string AmplitudeKey = "attention_factor";

    /// <inheritdoc/>
    public override string Type => Name;

    /// <summary>Pairs that turn more often than this within a sequence of pretraining are kept.</summary>
    public double BetaFast { get; init; } = 32;

    /// <summary>Pairs that turn less often than this within a sequence of pretraining are divided.</summary>
    public double BetaSlow { get; init; } = 1;

    /// <summary>Whether the ends of the blend are rounded outwards to whole pairs.</summary>
    public bool Truncate { get; init; } = true;

    /// <summary>The factor on cosines and sines, if the config gives one.</summary>
    public double? AttentionFactor { get; init; }

    /// <summary>The weight of log(factor) above the fraction of the factor on cosines and sines; null: none.</summary>
    public double? MScale { get; init; }

    /// <summary>The weight of log(factor) below that fraction; null: none.</summary>
    public double? MScaleAllDimensions { get; init; }

    /// <inheritdoc/>
    public override double Amplitude =>
        AttentionFactor
        ?? (
            MScale is > 0 and { } above && MScaleAllDimensions is > 0 and { } below
                ? Sharpening(above) / Sharpening(below)
                : Sharpening(1)
        );

    /// <inheritdoc/>
    public override double[] Frequencies(double theta, int size, int positions)
    {
        double low = PairThatTurns(BetaFast);
        double high = PairThatTurns(BetaSlow);
        if (Truncate)
            (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, size - 1));
        if (low == high)
            high += 0.001;
        double[] frequencies = Unscaled(theta, size);
        for (int i = 0; i < frequencies.Length; i++)
        {
            double divided = Math.Clamp((i - low) / (high - low), 0, 1);
            frequencies[i] *= (divided / Factor) + (1 - divided);
        }
        return frequencies;

        double PairThatTurns(double times) =>
            size * Math.Log(OriginalMaxPositions / (times * 2 * Math.PI)) / (2 * Math.Log(theta));
    }

    /// <inheritdoc/>
    public override int Longest(int maxPositions) => Math.Max(maxPositions, Longer(Factor, OriginalMaxPositions));

    internal override void WriteFields(Utf8JsonWriter json)
    {
        json.WriteNumber("factor", Factor);
        json.WriteNumber(OriginalMaxPositionsKey, OriginalMaxPositions);
        json.WriteNumber("beta_fast", BetaFast);
        json.WriteNumber("beta_slow", BetaSlow);
        if (!Truncate)
            json.WriteBoolean("truncate", false);
        WriteIfGiven(AmplitudeKey, AttentionFactor);
        WriteIfGiven("mscale", MScale);
        WriteIfGiven("mscale_all_dim", MScaleAllDimensions);

        void WriteIfGiven(string key, double? value)
        {
            if (value is { } given)
                json.WriteNumber(key, given);
        }
    }

    internal static YarnScaling ReadFields(JsonFields fields, RopeContext context)
    {
        const double Most = 1e6;
        if (context.Theta == 1)
            throw fields.Wrong("rope_type", "another type, as rope_theta is 1");
        int? given = ReadOriginalMaxPositions(fields, context);
        int original = given ?? context.MaxPositions;
        double factor =
            fields.Number("factor", 1, Most)
            ?? (
                given is null
                    ? throw fields.Wrong("factor", $"a number of at least 1, or {OriginalMaxPositionsKey}")
                    : Math.Max(1, context.MaxPositions / (double)original)
            );
        double fast = fields.Number("beta_fast", 1e-6, Most) ?? 32;
        double slow = fields.Number("beta_slow", 1e-6, Most) ?? 1;
        if (fast < slow)
            throw fields.Wrong("beta_fast", FormattableString.Invariant($"at least beta_slow, which is {slow:R}"));
        return new YarnScaling(factor, original)
        {
            BetaFast = fast,
            BetaSlow = slow,
            Truncate = fields.Boolean("truncate") ?? true,
            AttentionFactor = fields.Number(AmplitudeKey, 1e-6, Most),
            MScale = fields.Number("mscale", 0, Most),
            MScaleAllDimensions = fields.Number("mscale_all_dim", 0, Most),
        };
    }

    private double Sharpening(double weight) => Factor <= 1 ? 1 : (0.1 * weight * Math.Log(Factor)) + 1;
}
