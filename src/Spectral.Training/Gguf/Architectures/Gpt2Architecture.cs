using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>GPT-2, with learned positions and a fused projection.</summary>
internal sealed class Gpt2Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "gpt2";

    /// <inheritdoc/>
    protected override string EpsilonKey => "attention.layer_norm_epsilon";

    /// <inheritdoc/>
    protected override Activation Activation => Activation.GeluTanh;

    /// <inheritdoc/>
    protected override bool TakesOutputBias => true;

    /// <inheritdoc/>
    protected override bool TakesMlpBias => true;

    /// <inheritdoc/>
    protected override bool ChoosesRotation => true;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules { get; } =
        new Dictionary<string, string>
        {
            ["ln_1"] = "attn_norm",
            ["attn.c_attn"] = "attn_qkv",
            ["attn.c_proj"] = "attn_output",
            ["ln_2"] = "ffn_norm",
            ["mlp.c_fc"] = "ffn_up",
            ["mlp.c_proj"] = "ffn_down",
        };
}
