namespace Spectral.Training.Models.Families;

/// <summary>Phi-3 and, under the same <c>model_type</c>, the published checkpoints of Phi-4 and Phi-4-mini.</summary>
internal sealed class Phi3Family : Phi3Layout
{
    /// <inheritdoc/>
    public override string ModelType => "phi3";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Relatives { get; } =
        new Dictionary<string, string>
        {
            ["phi"] = "a bias of the output head",
            ["phi3_v"] = "images as input",
            ["phi3small"] = "sparse attention by blocks",
            ["phimoe"] = "experts with a router of its own kind",
            ["phi4mm"] = "images and sound as input",
            ["phi4_multimodal"] = "images and sound as input",
            ["phi4flash"] = "layers of state spaces",
        };
}
