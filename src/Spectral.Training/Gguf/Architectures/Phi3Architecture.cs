using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Phi-3 and Phi-4, with fused projections and angles of short and of long texts.</summary>
internal sealed class Phi3Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "phi3";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes => ["phi3", "phi4"];

    /// <inheritdoc/>
    public override bool ReadsLongAngles => true;

    /// <inheritdoc/>
    protected override bool DividesWidth => true;

    /// <inheritdoc/>
    protected override bool TurnsWholeHeads => false;

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        metadata.Add(Key("attention.sliding_window"), 0);
    }
}
