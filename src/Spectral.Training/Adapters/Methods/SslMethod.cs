using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>SSL: trained factors on the inputs of the weight.</summary>
internal sealed class SslMethod : AdapterMethod
{
    public override string Name => "ssl";
    public override string Formula => "W·diag(a)";
    public override string Source => "Si et al., 2024, arXiv 2407.05417";
    public override string Use => "Scales the inputs of each layer: one number per input.";

    public override AdapterForm Form(AdapterBuilder layer) =>
        new() { InputScale = layer.Trained("ssl_input", layer.In, Start.Ones) };
}
