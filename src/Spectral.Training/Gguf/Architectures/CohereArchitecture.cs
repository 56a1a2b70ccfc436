using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Command R, whose attention and feed-forward layer read the same layer norm.</summary>
internal sealed class CohereArchitecture : GgufArchitecture
{
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
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        metadata.Add(Key("logit_scale"), config.LogitMultiplier);
    }
}
