namespace Spectral.Training.Models.Families;

/// <summary>
/// Phi-4 under a name of its own, as some tools write it. Published checkpoints have that of <see cref="Phi3Family"/>.
/// </summary>
internal sealed class Phi4Family : Phi3Layout
{
    /// <inheritdoc/>
    public override string ModelType => "phi4";
}
