using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Qwen3 (Yang et al., 2025), dense: Llama's layers with norms of each head's queries and keys.</summary>
internal sealed class Qwen3Family : QwenLayout
{
    /// <inheritdoc/>
    public override string ModelType => "qwen3";

    /// <inheritdoc/>
    public override string Architecture => "Qwen3ForCausalLM";

    /// <inheritdoc/>
    public override int? DefaultHeadDimension => 128;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [.. base.Keys, BiasKeys.Attention];

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config) =>
        BiasKeys.ReadAttention(fields, base.Read(fields, config));

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        BiasKeys.WriteAttention(config, json);
    }

    /// <inheritdoc/>
    protected override (int Query, int Key)? HeadNorms(ModelConfig config) =>
        (config.HeadDimension, config.HeadDimension);
}
