namespace Spectral.Training.Models.Families;

/// <summary>GLM-4-0414 (GLM team, 2025): a norm before and a norm after each block.</summary>
internal sealed class Glm4Family : GlmLayout
{
    /// <inheritdoc/>
    public override string ModelType => "glm4";

    /// <inheritdoc/>
    public override string Architecture => "Glm4ForCausalLM";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Relatives { get; } =
        new Dictionary<string, string>
        {
            ["glm4v"] = "images as input",
            ["glm4_moe"] = "experts with a router of its own kind",
            ["glm4v_moe"] = "images as input",
        };

    /// <inheritdoc/>
    protected override (string Attention, string FeedForward)? OutputNorms =>
        ("post_self_attn_layernorm", "post_mlp_layernorm");
}
