namespace Spectral.Training;

/// <summary>
/// The stored tensors of one adapted linear layer: the low-rank part <c>scale · B A</c>, and in SpecLoRA the spectral part
/// <c>U diag(S ∘ delta) V</c>. Parts that the adapter does not have are null.
/// </summary>
/// <param name="Name">The linear layer's module path.</param>
/// <param name="Scale">Factor of the low-rank part.</param>
/// <param name="LoraA">[r, in].</param>
/// <param name="LoraB">[out, r].</param>
/// <param name="SpectralU">[out, k], frozen.</param>
/// <param name="SpectralS">[k], frozen.</param>
/// <param name="SpectralV">[k, in], frozen.</param>
/// <param name="SpectralDelta">[k], trained; 0 leaves the spectrum as it was.</param>
public sealed record AdapterModule(
    string Name, double Scale, SafetensorsTensor? LoraA, SafetensorsTensor? LoraB,
    SafetensorsTensor? SpectralU, SafetensorsTensor? SpectralS, SafetensorsTensor? SpectralV, SafetensorsTensor? SpectralDelta)
{
    /// <summary>The rank of the low-rank part, from its tensors.</summary>
    public int Rank => (int)(LoraA?.Shape[0] ?? 0);

    /// <summary>The number of spectral directions.</summary>
    public int TopK => (int)(SpectralS?.Shape[0] ?? 0);

    /// <summary>Inputs of the linear layer.</summary>
    public long Inputs => (LoraA ?? SpectralV)!.Shape[1];

    /// <summary>Outputs of the linear layer.</summary>
    public long Outputs => (LoraB ?? SpectralU)!.Shape[0];

    /// <summary>A tensor by its leaf name, such as <c>lora_A.weight</c>; null when the adapter does not have it.</summary>
    public SafetensorsTensor? Find(string leaf) => leaf switch
    {
        AdapterFolder.LoraA => LoraA,
        AdapterFolder.LoraB => LoraB,
        AdapterFolder.SpectralU => SpectralU,
        AdapterFolder.SpectralS => SpectralS,
        AdapterFolder.SpectralV => SpectralV,
        AdapterFolder.SpectralDelta => SpectralDelta,
        _ => null,
    };
}
