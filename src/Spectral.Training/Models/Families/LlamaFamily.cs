using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Llama (Touvron et al., 2023) and models with the same <c>model_type</c>.</summary>
internal sealed class LlamaFamily : LlamaLayout
{
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
    public override IReadOnlyList<string> Keys => [BiasKeys.Attention, BiasKeys.Mlp];

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        return BiasKeys.Read(fields, config);
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        BiasKeys.Write(config, json);
        base.WriteAttention(config, json);
    }
}
