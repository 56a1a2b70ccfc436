using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models;

/// <summary>
/// The scaling of rotary angles, <c>rope_scaling</c> in a config. The last three values apply to
/// <see cref="RopeScalingKind.Llama3"/>.
/// </summary>
public sealed record RopeScaling(
    RopeScalingKind Kind,
    double Factor,
    double LowFrequencyFactor = 1,
    double HighFrequencyFactor = 4,
    int OriginalMaxPositions = 8192
)
{
    /// <summary>Scales an angle per position, in radians.</summary>
    public double Apply(double frequency)
    {
        if (Kind == RopeScalingKind.Linear)
            return frequency / Factor;
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength < OriginalMaxPositions / HighFrequencyFactor)
            return frequency;
        if (wavelength > OriginalMaxPositions / LowFrequencyFactor)
            return frequency / Factor;
        double t =
            ((OriginalMaxPositions / wavelength) - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        return ((1 - t) * frequency / Factor) + (t * frequency);
    }

    /// <summary>Reads <c>rope_scaling</c> or <c>rope_parameters</c>; null if angles are not scaled.</summary>
    /// <param name="fields">The object with the scaling.</param>
    /// <param name="config">The config that contains it.</param>
    internal static RopeScaling? Read(JsonFields fields, JsonFields config)
    {
        string[] scales = ["rope_theta", "partial_rotary_factor"];
        string? kind = fields.Text("rope_type") ?? fields.Text("type");
        if (fields.Text("type") is { } old && old != kind)
            throw fields.Wrong("rope_type", $"{InputText.Quote(old)}, as type says, or one of the two");
        if (kind is null)
        {
            return fields.Element.EnumerateObject().All(property => scales.Contains(property.Name))
                ? null
                : throw fields.Wrong("rope_type", "default, linear or llama3");
        }
        if (kind == "default")
            return null;
        if (kind is not ("linear" or "llama3"))
        {
            throw fields.Wrong(
                fields.Has("rope_type") ? "rope_type" : "type",
                "default, linear or llama3 (no other is supported)"
            );
        }

        double factor = fields.Number("factor", 1, 1e6) ?? throw fields.Wrong("factor", "a number of at least 1");
        if (kind == "linear")
            return new RopeScaling(RopeScalingKind.Linear, factor);
        double low =
            fields.Number("low_freq_factor", 1e-6, 1e6) ?? throw fields.Wrong("low_freq_factor", "a positive number");
        double high =
            fields.Number("high_freq_factor", 1e-6, 1e6) ?? throw fields.Wrong("high_freq_factor", "a positive number");
        if (high <= low)
            throw fields.Wrong("high_freq_factor", $"more than low_freq_factor, which is {low}");
        return new RopeScaling(
            RopeScalingKind.Llama3,
            factor,
            low,
            high,
            fields.Integer("original_max_position_embeddings", 1, ModelConfig.MaximumPositions)
                ?? config.Integer("original_max_position_embeddings", 1, ModelConfig.MaximumPositions)
                ?? fields.RequiredInteger("original_max_position_embeddings", 1, ModelConfig.MaximumPositions)
        );
    }

    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("rope_type", Kind == RopeScalingKind.Linear ? "linear" : "llama3");
        json.WriteNumber("factor", Factor);
        if (Kind == RopeScalingKind.Llama3)
        {
            json.WriteNumber("low_freq_factor", LowFrequencyFactor);
            json.WriteNumber("high_freq_factor", HighFrequencyFactor);
            json.WriteNumber("original_max_position_embeddings", OriginalMaxPositions);
        }
        json.WriteEndObject();
    }
}
