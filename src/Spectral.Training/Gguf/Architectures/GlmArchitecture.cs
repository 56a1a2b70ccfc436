namespace Spectral.Training.Gguf.Architectures;

/// <summary>GLM-4 of 2024.</summary>
internal sealed class GlmArchitecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "chatglm";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes => ["glm"];

    /// <inheritdoc/>
    protected override bool DividesWidth => true;

    /// <inheritdoc/>
    protected override bool TurnsWholeHeads => false;
}
