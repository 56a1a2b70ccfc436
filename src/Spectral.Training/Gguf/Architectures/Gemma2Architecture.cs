using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Gemma 2, with soft caps on scores and logits.</summary>
internal sealed class Gemma2Architecture : GemmaSandwichArchitecture
{
    /// <inheritdoc/>
    public override string Name => "gemma2";

    /// <inheritdoc/>
    protected override bool SharesHead => true;

    /// <inheritdoc/>
    protected override int LayersOfLargest => 46;

    /// <inheritdoc/>
    public override IEnumerable<string> Obstacles(ModelConfig config)
    {
        foreach (string obstacle in base.Obstacles(config))
            yield return obstacle;
        if (config.AttentionSoftCap == 0 || config.LogitSoftCap == 0)
            yield return "no soft cap of scores or logits, expected both";
    }

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        metadata.Add(Key("attn_logit_softcapping"), config.AttentionSoftCap);
    }
}
