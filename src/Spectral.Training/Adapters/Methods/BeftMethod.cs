using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>BEFT: the change of a bias, as in BitFit, in PEFT's layout.</summary>
internal sealed class BeftMethod : AdapterMethod
{
    public override string Name => "beft";
    public override string Formula => "y = W x + b + delta";
    public override string Source => "BEFT: Bias-Efficient Fine-Tuning of Language Models, 2025, arXiv 2509.15974";
    public override string Use =>
        "Trains only the biases of the value projections, with --target v_proj: for little data. The same as bitfit "
        + "in files that PEFT reads. A layer without a bias gets one, and then cannot be merged.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } = [];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Expression delta = layer.Trained("beft_bias", (1, layer.Out)).Reshape(layer.Out);
        return new AdapterForm { Bias = layer.Bias is { } bias ? bias.Add(delta) : delta };
    }
}
