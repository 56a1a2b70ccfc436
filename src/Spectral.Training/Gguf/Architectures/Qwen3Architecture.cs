namespace Spectral.Training.Gguf.Architectures;

/// <summary>Qwen3 without experts.</summary>
internal sealed class Qwen3Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "qwen3";
}
