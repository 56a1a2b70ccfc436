namespace Spectral.Training;

/// <summary>MiSS (once Bone): inputs are summed over their blocks of r, so that the right factor is the identity, repeated. No scale.</summary>
internal sealed class MissMethod : AdapterMethod
{
    public override string Name => "miss";
    public override string Formula => "W + Bᵀ·[I_r I_r …], B [r, out]";
    public override string Source => "Kang and Yin, 2024, arXiv 2409.15371";
    public override IReadOnlyList<PeftField>? PeftFields { get; } = [PeftField.Rank(64), PeftField.Dropout("miss_dropout"), PeftField.Is("init_weights", true, missing: true), .. PeftField.Ignored("mini_r")];
    public override string Use => "One factor trains and it starts with a gradient at once, at LoRA's cost: r·out numbers a layer. Ranks of 32 to 128 are customary.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        var (rank, inputs) = (layer.Rank, layer.In);
        var block = layer.Trained("miss_block", (rank, layer.Out));
        return new AdapterForm { Terms = [new(block.Transpose(), block.Table((rank, inputs), "identities", Identities))] };

        float[] Identities() => [.. Enumerable.Range(0, rank * inputs).Select(at => at % inputs % rank == at / inputs ? 1f : 0)];
    }
}
