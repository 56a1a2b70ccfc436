using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>SSB: trained factors on both sides of the weight. A bias is not scaled.</summary>
internal sealed class SsbMethod : AdapterMethod
{
    public override string Name => "ssb";
    public override string Formula => "diag(rho)·W·diag(a)";
    public override string Source => "Si et al., 2024, arXiv 2407.05417";
    public override string Use => "Scales inputs and outputs of each layer.";

    public override AdapterForm Form(AdapterBuilder layer) =>
        new()
        {
            InputScale = layer.Trained("ssb_input", layer.In, Start.Ones),
            OutputScale = layer.Trained("ssb_output", layer.Out, Start.Ones),
        };
}
