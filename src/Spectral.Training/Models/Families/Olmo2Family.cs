using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// OLMo 2 (OLMo team, "2 OLMo 2 Furious", 2024): norms after attention and after the feed-forward layer in place of
/// those before them, and norms over all queries and all keys of a token.
/// </summary>
internal sealed class Olmo2Family : LlamaLayout
{
    /// <inheritdoc/>
    public override string ModelType => "olmo2";

    /// <inheritdoc/>
    public override string Architecture => "Olmo2ForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 2048;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 50279;

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-5;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [BiasKeys.Attention];

    /// <inheritdoc/>
    protected override (string Attention, string FeedForward) BlockNorms =>
        ("post_attention_layernorm", "post_feedforward_layernorm");

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        return BiasKeys.ReadAttention(fields, config);
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        BiasKeys.WriteAttention(config, json);
        base.WriteAttention(config, json);
    }

    /// <summary>Lists none: no linear layer reads the output of a norm.</summary>
    public override IReadOnlyList<(string Norm, string Reader)> NormReaders(ModelConfig config, int layer) => [];

    /// <inheritdoc/>
    protected override (int Query, int Key)? HeadNorms(ModelConfig config) =>
        (config.Heads * config.HeadDimension, config.KeyValueHeads * config.HeadDimension);

    /// <inheritdoc/>
    protected override DecoderLayer Join(
        ModelConfig config,
        AttentionBlock attention,
        FeedForwardBlock feedForward,
        Func<string, Norm> norm
    ) =>
        new PostNormLayer
        {
            Attention = attention,
            AttentionNorm = norm(BlockNorms.Attention),
            FeedForward = feedForward,
            FeedForwardNorm = norm(BlockNorms.FeedForward),
        };
}
