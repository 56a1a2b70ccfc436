using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Llama (Touvron et al., 2023) and models with the same <c>model_type</c>.</summary>
internal sealed class LlamaFamily : LlamaLayout
{
    private const string AttentionBias = "attention_bias";
    private const string MlpBias = "mlp_bias";

    /// <inheritdoc/>
    public override string ModelType => "llama";

    /// <inheritdoc/>
    public override string Architecture => "LlamaForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 2048;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 2;

    /// <inheritdoc/>
    public override string DefaultTokenizerClass => "LlamaTokenizer";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [AttentionBias, MlpBias];

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        bool attention = fields.Boolean(AttentionBias) ?? false;
        return config with
        {
            QueryKeyValueBias = attention,
            OutputBias = attention,
            MlpBias = fields.Boolean(MlpBias) ?? false,
        };
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        json.WriteBoolean(AttentionBias, config.OutputBias);
        json.WriteBoolean(MlpBias, config.MlpBias);
        base.WriteAttention(config, json);
    }
}
