using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Command R7B and Command A, of whose layers only those with a window turn queries and keys.</summary>
internal sealed class Cohere2Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "cohere2";

    /// <inheritdoc/>
    protected override string EpsilonKey => "attention.layer_norm_epsilon";

    /// <inheritdoc/>
    public override bool ReadsAngleDivisors => true;

    /// <inheritdoc/>
    protected override bool SharesHead => true;

    /// <inheritdoc/>
    protected override bool DividesWidth => true;

    /// <inheritdoc/>
    protected override bool HasWindows => true;

    /// <inheritdoc/>
    protected override bool ChoosesRotation => true;

    /// <inheritdoc/>
    public override IEnumerable<string> Obstacles(ModelConfig config)
    {
        foreach (string obstacle in base.Obstacles(config))
            yield return obstacle;
        if (WindowPattern.Obstacle(config) is { } windows)
            yield return windows;
        if (Enumerable.Range(0, config.Layers).Any(layer => config.Rotates(layer) != config.WindowOf(layer) > 0))
            yield return "layers that turn without a window or have one and do not, expected both or neither";
    }

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        WindowPattern.Add(this, config, metadata);
        metadata.Add(Key("logit_scale"), config.LogitMultiplier);
    }
}
