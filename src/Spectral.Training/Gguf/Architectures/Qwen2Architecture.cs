namespace Spectral.Training.Gguf.Architectures;

/// <summary>Qwen2.</summary>
internal sealed class Qwen2Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "qwen2";
}
