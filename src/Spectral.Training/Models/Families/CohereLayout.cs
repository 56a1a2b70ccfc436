using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The base of Cohere's text models: Llama's projections, of which those of attention and of the feed-forward layer
/// read the same layer norm, heads that turn in neighbouring pairs, and a factor on the logits.
/// </summary>
internal abstract class CohereLayout : LlamaLayout
{
    private const string LogitScale = "logit_scale";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 8192;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 255001;

    /// <inheritdoc/>
    public override string NormEpsilonKey => "layer_norm_eps";

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-5;

    /// <inheritdoc/>
    public override bool TiesByDefault => true;

    /// <inheritdoc/>
    public override bool InterleavesRotary => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [BiasKeys.Attention, LogitScale];

    /// <inheritdoc/>
    public override NormForm FormOfNorms(ModelConfig config) => NormForm.Layer;

    /// <inheritdoc/>
    protected override bool IsParallel(ModelConfig config) => true;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config) =>
        BiasKeys.ReadAttention(fields, config) with
        {
            LogitMultiplier = fields.Number(LogitScale, 1e-6, 1e6) ?? 0.0625,
        };

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        BiasKeys.WriteAttention(config, json);
        json.WriteNumber(LogitScale, config.LogitMultiplier);
        base.WriteAttention(config, json);
    }
}
