using Spectral.Training.Models;

namespace Spectral.Training.Gguf.Architectures;

/// <summary>StarCoder2, with biases of all its layers and no gate.</summary>
internal sealed class Starcoder2Architecture : GgufArchitecture
{
    /// <inheritdoc/>
    public override string Name => "starcoder2";

    /// <inheritdoc/>
    protected override string EpsilonKey => "attention.layer_norm_epsilon";

    /// <inheritdoc/>
    protected override Activation Activation => Activation.GeluTanh;

    /// <inheritdoc/>
    protected override bool DividesWidth => true;

    /// <inheritdoc/>
    protected override bool TakesOutputBias => true;

    /// <inheritdoc/>
    protected override bool TakesMlpBias => true;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> Modules =>
        new Dictionary<string, string>(base.Modules) { ["mlp.c_fc"] = "ffn_up", ["mlp.c_proj"] = "ffn_down" };

    /// <inheritdoc/>
    public override IEnumerable<string> Obstacles(ModelConfig config)
    {
        foreach (string obstacle in base.Obstacles(config))
            yield return obstacle;
        if (!config.OutputBias || !config.MlpBias)
            yield return "layers without biases, expected use_bias true";
    }
}
