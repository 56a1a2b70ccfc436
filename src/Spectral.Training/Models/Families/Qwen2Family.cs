using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>Qwen2 (Yang et al., 2024): Llama's layers with biases on q, k and v.</summary>
internal sealed class Qwen2Family : QwenLayout
{
    /// <inheritdoc/>
    public override string ModelType => "qwen2";

    /// <inheritdoc/>
    public override string Architecture => "Qwen2ForCausalLM";

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config) =>
        base.Read(fields, config) with
        {
            QueryKeyValueBias = true,
        };
}
