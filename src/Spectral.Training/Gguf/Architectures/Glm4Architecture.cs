namespace Spectral.Training.Gguf.Architectures;

/// <summary>GLM-4-0414, with a norm before and a norm after each block.</summary>
internal sealed class Glm4Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "glm4";

    /// <summary>
    /// The modules whose product llama.cpp asks for in F32: with a LoRA, what it asks is a sum, at which it stops.
    /// </summary>
    public override IReadOnlyList<string> NotAdapted => ["attn_output", "ffn_down"];

    /// <inheritdoc/>
    protected override bool TurnsWholeHeads => false;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules =>
        new Dictionary<string, string>(base.Modules)
        {
            ["post_self_attn_layernorm"] = "post_attention_norm",
            ["post_mlp_layernorm"] = "post_ffw_norm",
        };
}
