using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The base of GLM's dense text models (GLM team, "ChatGLM: A Family of Large Language Models", 2024): Llama's layers
/// with one projection for gate and up, biases on q, k and v, and heads whose first half turns, in neighbouring pairs.
/// </summary>
internal abstract class GlmLayout : LlamaLayout
{
    /// <inheritdoc/>
    public override int DefaultMaxPositions => 131072;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 151329;

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1.5625e-7;

    /// <inheritdoc/>
    public override int? DefaultHeadDimension => 128;

    /// <inheritdoc/>
    public override double? DefaultPartialRotaryFactor => 0.5;

    /// <inheritdoc/>
    public override bool InterleavesRotary => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [BiasKeys.Attention];

    /// <inheritdoc/>
    protected override bool FusesGateUp => true;

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 2;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        return config with { QueryKeyValueBias = fields.Boolean(BiasKeys.Attention) ?? true };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteBoolean(BiasKeys.Attention, config.QueryKeyValueBias);
        base.WriteAttention(config, json);
    }
}
