using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>SSF on the outputs of linear layers.</summary>
internal sealed class SsfMethod : AdapterMethod
{
    public override string Name => "ssf";
    public override string Formula => "y = gamma∘(W x + b) + beta";
    public override string Source => "Lian et al., 2022, arXiv 2210.08823";
    public override string Use => "Scale and shift of every output; the shift needs a bias to be merged into.";

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
