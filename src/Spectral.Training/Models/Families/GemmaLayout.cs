using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// The base of the Gemma families: Llama's layers with weights of norms around 1, a gate of GELU, embeddings times √D
/// and a head that is the embedding.
/// </summary>
internal abstract class GemmaLayout : LlamaLayout
{
    private const string Bidirectional = "use_bidirectional_attention";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 8192;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 1;

    /// <inheritdoc/>
    public override int? DefaultHeadDimension => 256;

    /// <inheritdoc/>
    public override bool TiesByDefault => true;

    /// <inheritdoc/>
    public override Activation DefaultActivation => Activation.GeluTanh;

    /// <inheritdoc/>
    public override bool ScalesOnlyTokens => true;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [BiasKeys.Attention, Bidirectional];

    /// <inheritdoc/>
    public override NormForm FormOfNorms(ModelConfig config) => NormForm.RmsAroundOne;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        if (fields.Boolean(Bidirectional) ?? false)
            throw fields.Wrong(Bidirectional, "false: attention to later tokens is not supported");
        return BiasKeys.ReadAttention(fields, config) with { EmbeddingMultiplier = Math.Sqrt(config.HiddenSize) };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        BiasKeys.WriteAttention(config, json);
        base.WriteAttention(config, json);
    }
}
