using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// StableLM (Bellagente et al., "Stable LM 2 1.6B", 2024): Llama's projections between layer norms with biases, of
/// which attention and the feed-forward layer may share one, and heads of which a part turns and of which each may have
/// norms of its own for queries and keys.
/// </summary>
internal sealed class StableLmFamily : LlamaLayout
{
    private const string Bias = "use_qkv_bias";
    private const string HeadNorm = "qk_layernorm";
    private const string Parallel = "use_parallel_residual";

    /// <inheritdoc/>
    public override string ModelType => "stablelm";

    /// <inheritdoc/>
    public override string Architecture => "StableLmForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 4096;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 0;

    /// <inheritdoc/>
    public override string NormEpsilonKey => "layer_norm_eps";

    /// <inheritdoc/>
    public override double DefaultNormEpsilon => 1e-5;

    /// <inheritdoc/>
    public override double? DefaultPartialRotaryFactor => 0.25;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [Bias, HeadNorm, Parallel];

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 32;

    /// <inheritdoc/>
    public override NormForm FormOfNorms(ModelConfig config) => NormForm.LayerWithBias;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        if (config.HeadDimension * config.Heads != config.HiddenSize)
        {
            throw fields.Wrong(
                "head_dim",
                $"hidden_size {config.HiddenSize} over {config.Heads} heads, as in all models of the family"
            );
        }
        return config with
        {
            QueryKeyValueBias = fields.Boolean(Bias) ?? false,
            ParallelResidual = fields.Boolean(Parallel) ?? false,
            HeadNorms = fields.Boolean(HeadNorm) ?? false,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteBoolean(Bias, config.QueryKeyValueBias);
        json.WriteBoolean(HeadNorm, config.HeadNorms);
        json.WriteBoolean(Parallel, config.ParallelResidual);
        base.WriteAttention(config, json);
    }

    /// <inheritdoc/>
    protected override (NormSpec Query, NormSpec Key)? NormsOfHeads(ModelConfig config, int layer) =>
        config.HeadNorms
            ? OwnNormsOfHeads(config, layer, ("self_attn.q_layernorm", "self_attn.k_layernorm"), modules: true)
            : null;

    /// <inheritdoc/>
    protected override bool IsParallel(ModelConfig config) => config.ParallelResidual;
}
