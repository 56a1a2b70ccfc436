using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Granite, with its factors on embeddings, scores, the residual stream and logits.</summary>
internal sealed class GraniteArchitecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "granite";

    /// <inheritdoc/>
    public override bool PairsRows => true;

    /// <inheritdoc/>
    public override bool ReadsAngleDivisors => true;

    /// <inheritdoc/>
    protected override bool TakesOutputBias => true;

    /// <inheritdoc/>
    protected override bool TakesMlpBias => true;

    /// <inheritdoc/>
    protected override bool ScalesScores => true;

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        metadata.Add(Key("embedding_scale"), config.EmbeddingMultiplier);
        metadata.Add(Key("residual_scale"), config.ResidualMultiplier);
        metadata.Add(Key("logit_scale"), config.LogitDivisor);
        metadata.Add(Key("attention.scale"), config.AttentionMultiplier ?? 1 / Math.Sqrt(config.HeadDimension));
    }
}
