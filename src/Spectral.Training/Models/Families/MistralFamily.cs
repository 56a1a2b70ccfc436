using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Mistral (Jiang et al., 2023): Llama's layers without biases, with a sliding window in all of them.
/// </summary>
internal sealed class MistralFamily : LlamaLayout
{
    /// <inheritdoc/>
    public override string ModelType => "mistral";

    /// <inheritdoc/>
    public override string Architecture => "MistralForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 131072;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 2;

    /// <inheritdoc/>
    public override string DefaultTokenizerClass => "LlamaTokenizer";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys => [WindowKeys.Window];

    /// <inheritdoc/>
    public override int DefaultKeyValueHeads(int heads) => 8;

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config) =>
        config with
        {
            SlidingWindow = WindowKeys.Read(fields),
        };

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        base.WriteAttention(config, json);
        WindowKeys.Write(config, json);
    }
}
