using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Command R, whose attention and feed-forward layer read the same layer norm.</summary>
internal sealed class CohereArchitecture : GgufArchitecture
{
    private const int NormedLayers = 64;

    /// <inheritdoc/>
    public override string Name => "command-r";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes => ["cohere"];

    /// <inheritdoc/>
    protected override string EpsilonKey => "attention.layer_norm_epsilon";

    /// <inheritdoc/>
    protected override bool SharesHead => true;

    /// <inheritdoc/>
    protected override bool DividesWidth => true;

    /// <inheritdoc/>
    public override IEnumerable<string> Obstacles(ModelConfig config)
    {
        foreach (string obstacle in base.Obstacles(config))
            yield return obstacle;
        // It takes a model of so many layers for Command R+, and has no key for the norms.
        if (config.HeadNorms != config.Layers >= NormedLayers)
        {
            yield return $"{config.Layers} layers with {(config.HeadNorms ? "" : "no ")}norms of queries and keys, "
                + $"expected them from {NormedLayers} layers on, and only there";
        }
    }

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        metadata.Add(Key("logit_scale"), config.LogitMultiplier);
    }
}
