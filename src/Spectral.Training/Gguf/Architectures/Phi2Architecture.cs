using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>Phi-1 to Phi-2, with biases everywhere and a feed-forward layer beside attention.</summary>
internal sealed class Phi2Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "phi2";

    /// <inheritdoc/>
    public override IReadOnlyList<string> ModelTypes => ["phi"];

    /// <inheritdoc/>
    public override bool NeedsHead => true;

    /// <inheritdoc/>
    protected override string EpsilonKey => "attention.layer_norm_epsilon";

    /// <inheritdoc/>
    protected override Activation Activation => Activation.GeluTanh;

    /// <inheritdoc/>
    protected override bool DividesWidth => true;

    /// <inheritdoc/>
    protected override bool TurnsWholeHeads => false;

    /// <inheritdoc/>
    protected override bool TakesOutputBias => true;

    /// <inheritdoc/>
    protected override bool TakesMlpBias => true;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules =>
        new Dictionary<string, string>(base.Modules)
        {
            ["self_attn.dense"] = "attn_output",
            ["mlp.fc1"] = "ffn_up",
            ["mlp.fc2"] = "ffn_down",
        };
}
