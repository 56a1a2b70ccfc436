using System.Globalization;
using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Phi-3 and Phi-4 (Abdin et al., "Phi-3 Technical Report", 2024; "Phi-4 Technical Report", 2024), text models: Llama's
/// layers with one projection for queries, keys and values and one for gate and up, a window in all layers, and heads
/// of which a part may turn.
/// </summary>
internal abstract class Phi3Layout : LlamaLayout
{
    private const string OriginalMaxPositions = "original_max_position_embeddings";

    /// <inheritdoc/>
    public override string Architecture => "Phi3ForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 4096;

    /// <inheritdoc/>
    public override int? DefaultOriginalMaxPositions => 4096;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 32000;

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-5;

    /// <inheritdoc/>
    public override double? DefaultPartialRotaryFactor => 1;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [WindowKeys.Window];

    /// <inheritdoc/>
    protected override bool FusesQueryKeyValue => true;

    /// <inheritdoc/>
    protected override bool FusesGateUp => true;

    /// <summary>Returns LongRoPE for the names that Phi-3's first checkpoints have for it.</summary>
    public override string RopeTypeOf(string name) => name is "su" or "yarn" ? LongRopeScaling.Name : name;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config) =>
        config with
        {
            SlidingWindow = fields.Integer(WindowKeys.Window, 0, int.MaxValue) ?? 0,
        };

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        WindowKeys.Write(config, json);
    }

    /// <summary>
    /// Writes LongRoPE as transformers 4 wants it of these models: type and factors alone, and the positions of
    /// pretraining beside them.
    /// </summary>
    protected override void WriteScaling(ModelConfig config, Utf8JsonWriter json)
    {
        string? given = config.OtherKeys.GetValueOrDefault(OriginalMaxPositions);
        if (
            config.RopeScaling is not LongRopeScaling scaling
            || !scaling.FollowsFrom(config.MaxPositions)
            || (given is not null && given != scaling.OriginalMaxPositions.ToString(CultureInfo.InvariantCulture))
        )
        {
            base.WriteScaling(config, json);
            return;
        }
        json.WriteStartObject("rope_scaling");
        json.WriteString("type", scaling.Type);
        scaling.WriteFactors(json);
        json.WriteEndObject();
        if (given is null)
            json.WriteNumber(OriginalMaxPositions, scaling.OriginalMaxPositions);
    }
}
