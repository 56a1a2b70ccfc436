using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>SmolLM3, of whose layers each fourth does not turn queries and keys.</summary>
internal sealed class SmolLm3Architecture : GgufArchitecture
{
    private const int Period = 4;

    /// <inheritdoc/>
    public override string Name => "smollm3";

    /// <inheritdoc/>
    public override bool PairsRows => true;

    /// <inheritdoc/>
    protected override bool ChoosesRotation => true;

    /// <inheritdoc/>
    public override IEnumerable<string> Obstacles(ModelConfig config)
    {
        foreach (string obstacle in base.Obstacles(config))
            yield return obstacle;
        if (Enumerable.Range(1, config.Layers).Any(layer => config.Rotates(layer - 1) != (layer % Period != 0)))
            yield return $"other layers without rotary angles than each {Period}th, expected those";
    }
}
