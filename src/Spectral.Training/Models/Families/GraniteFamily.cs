using System.Text.Json;
using Spectral.Training.IO;

namespace Spectral.Training.Models.Families;

/// <summary>
/// Granite (Granite team, "Granite 3.0 Language Models", 2024): Llama's layers with constant factors on embeddings,
/// scores, the residual stream and logits.
/// </summary>
internal sealed class GraniteFamily : LlamaLayout
{
    private const double Largest = 1e6;
    private const string Embeddings = "embedding_multiplier";
    private const string Scores = "attention_multiplier";
    private const string Residual = "residual_multiplier";
    private const string Logits = "logits_scaling";

    /// <inheritdoc/>
    public override string ModelType => "granite";

    /// <inheritdoc/>
    public override string Architecture => "GraniteForCausalLM";

    /// <inheritdoc/>
    public override int DefaultMaxPositions => 2048;

    /// <inheritdoc/>
    public override int? DefaultEosTokenId => 2;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Keys =>
        [BiasKeys.Attention, BiasKeys.Mlp, Embeddings, Scores, Residual, Logits];

    /// <inheritdoc/>
    public override ModelConfig Read(JsonFields fields, ModelConfig config)
    {
        WindowKeys.Check(fields);
        return BiasKeys.Read(fields, config) with
        {
            EmbeddingMultiplier = Factor(Embeddings),
            AttentionMultiplier = Factor(Scores),
            ResidualMultiplier = Factor(Residual),
            LogitDivisor = Factor(Logits),
        };

        double Factor(string key) => fields.Number(key, 1e-6, Largest) ?? 1;
    }

    /// <inheritdoc/>
    public override void WriteAttention(ModelConfig config, Utf8JsonWriter json)
    {
        BiasKeys.Write(config, json);
        json.WriteNumber(Embeddings, config.EmbeddingMultiplier);
        json.WriteNumber(Scores, config.AttentionMultiplier ?? 1 / Math.Sqrt(config.HeadDimension));
        json.WriteNumber(Residual, config.ResidualMultiplier);
        json.WriteNumber(Logits, config.LogitDivisor);
        base.WriteAttention(config, json);
    }
}
