using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Gemma 3's text model, whose layers with a window have rotary angles of their own.</summary>
internal sealed class Gemma3Architecture : GemmaSandwichArchitecture
{
    /// <inheritdoc/>
    public override string Name => "gemma3";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes => ["gemma3_text"];

    /// <inheritdoc/>
    protected override int LayersOfLargest => 62;

    /// <inheritdoc/>
    public override IEnumerable<string> Obstacles(ModelConfig config)
    {
        foreach (string obstacle in base.Obstacles(config))
            yield return obstacle;
        if (config.SlidingRotary is { Scaling: not null })
            yield return "scaled rotary angles in layers with a window, expected unscaled ones";
    }

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        metadata.Add(Key("rope.freq_base_swa"), config.SlidingRotary?.Theta ?? config.RopeTheta);
    }
}
