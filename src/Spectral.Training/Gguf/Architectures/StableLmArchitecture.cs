using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>StableLM, with biases of layer norms and heads of which a part turns.</summary>
internal sealed class StableLmArchitecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "stablelm";

    /// <inheritdoc/>
    protected override string EpsilonKey => "attention.layer_norm_epsilon";

    /// <inheritdoc/>
    public override bool NeedsHead => true;

    /// <inheritdoc/>
    protected override bool DividesWidth => true;

    /// <inheritdoc/>
    protected override bool TurnsWholeHeads => false;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules =>
        new Dictionary<string, string>(base.Modules)
        {
            ["self_attn.q_layernorm"] = "attn_q_norm",
            ["self_attn.k_layernorm"] = "attn_k_norm",
        };

    /// <inheritdoc/>
    public override void Describe(ModelConfig config, GgufMetadata metadata)
    {
        base.Describe(config, metadata);
        metadata.Add(Key("use_parallel_residual"), config.ParallelResidual);
    }
}
