namespace Spectral.Training.Gguf.Architectures;

/// <summary>OLMo 2, whose norms follow attention and the feed-forward layer.</summary>
internal sealed class Olmo2Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "olmo2";

    /// <inheritdoc/>
    public override bool NeedsHead => true;

    /// <inheritdoc/>
    protected override bool DividesWidth => true;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules =>
        new Dictionary<string, string>(base.Modules)
        {
            ["post_attention_layernorm"] = "post_attention_norm",
            ["post_feedforward_layernorm"] = "post_ffw_norm",
        };
}
