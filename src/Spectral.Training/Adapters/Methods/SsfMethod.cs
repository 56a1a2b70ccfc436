using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>SSF: a trained scale and shift of the outputs of linear layers.</summary>
internal sealed class SsfMethod : AdapterMethod
{
    public override string Name => "ssf";
    public override string Formula => "y = gamma∘(W x + b) + beta";
    public override string Source => "Lian et al., 2022, arXiv 2210.08823";
    public override string Use =>
        "A scale and a shift for every output. The shift can be merged only into a layer with a bias.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Factor scale = layer.Trained("ssf_scale", layer.Out, Start.Ones);
        Factor shift = layer.Trained("ssf_shift", layer.Out);
        return new AdapterForm
        {
            OutputScale = scale,
            Bias = layer.Bias is { } bias ? bias.Multiply(scale, Broadcast.PerElement).Add(shift) : shift,
        };
    }
}
