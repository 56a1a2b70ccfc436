namespace Spectral.Training;

/// <summary>LoRA (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021): W' = W + s·B·A, s = α/r or, rank-stabilised, α/√r.</summary>
/// <remarks>Reads rank, alpha and the rank-stabilised switch. A starts Kaiming-uniform, B at zero, so that W' = W at first.</remarks>
public sealed class LoraMethod : AdapterMethod
{
    internal const string A = "lora_A.weight";
    internal const string B = "lora_B.weight";

    /// <inheritdoc/>
    public override string Name => "lora";

    /// <inheritdoc/>
    public override string Summary => "W + (alpha/rank)·B·A (Hu et al., 2021)";

    /// <inheritdoc/>
    public override IReadOnlyList<AdapterBlock> Blocks(ModuleShape module, AdapterOptions options)
    {
        if (options.Rank < 1)
            throw new InputException($"rank {options.Rank} for {module.Name}: lora needs a rank of at least 1");
        return [LowRankBlock(module, options)];
    }

    /// <inheritdoc/>
    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (var start in starts)
            start.KaimingUniform(A);
    }

    internal static AdapterBlock LowRankBlock(ModuleShape module, AdapterOptions options) => new(
        new Factor(B, (module.Out, options.Rank), Trains: true), new Factor(A, (options.Rank, module.In), Trains: true), options.Scale);
}
