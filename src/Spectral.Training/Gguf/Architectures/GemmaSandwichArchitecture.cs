using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>The base of the later Gemmas: a norm before and after each block, and windows in some layers.</summary>
internal abstract class GemmaSandwichArchitecture : GgufArchitecture
{
    /// <inheritdoc/>
    protected override Activation Activation => Activation.GeluTanh;

    /// <inheritdoc/>
    protected override bool HasWindows => true;

    /// <inheritdoc/>
    protected override bool ScalesScores => true;

    /// <summary>The number of layers of the model whose scores are scaled by the width over the heads.</summary>
    protected abstract int LayersOfLargest { get; }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules =>
        new Dictionary<string, string>(base.Modules)
        {
            ["post_attention_layernorm"] = "post_attention_norm",
            ["pre_feedforward_layernorm"] = "ffn_norm",
            ["post_feedforward_layernorm"] = "post_ffw_norm",
        };

    /// <inheritdoc/>
    public override IEnumerable<string> Obstacles(ModelConfig config)
    {
        foreach (string obstacle in base.Obstacles(config))
            yield return obstacle;
        if (WindowPattern.Obstacle(config) is { } windows)
            yield return windows;
        // The scale follows from the sizes; only the number of layers tells the largest model.
        int width = config.Layers == LayersOfLargest ? config.HiddenSize / config.Heads : config.HeadDimension;
        double scale = config.AttentionMultiplier ?? 1 / Math.Sqrt(config.HeadDimension);
        if (!IsUsual(scale, width))
        {
            yield return FormattableString.Invariant($"query_pre_attn_scalar {1 / (scale * scale):G6}, expected ")
                + $"{width} with {config.Layers} layers";
        }
    }

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        WindowPattern.Add(this, config, metadata);
        if (config.LogitSoftCap > 0)
            metadata.Add(Key("final_logit_softcapping"), config.LogitSoftCap);
    }
}
