using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Gemma, whose embeddings are scaled by the root of the width.</summary>
internal sealed class GemmaArchitecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "gemma";

    /// <inheritdoc/>
    protected override Activation Activation => Activation.GeluTanh;

    /// <inheritdoc/>
    protected override bool SharesHead => true;
}
