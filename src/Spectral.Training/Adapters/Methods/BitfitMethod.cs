using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>BitFit. The change of the bias is stored, so that weight decay pulls towards the pretrained bias.</summary>
internal sealed class BitfitMethod : AdapterMethod
{
    public override string Name => "bitfit";
    public override string Formula => "y = W x + b + delta";
    public override string Source => "Ben Zaken et al., 2021, arXiv 2106.10199";
    public override string Use => "Trains only biases. A layer without one gets one, and then cannot be merged.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        Factor delta = layer.Trained("bitfit_delta", layer.Out);
        return new AdapterForm { Bias = layer.Bias is { } bias ? bias.Add(delta) : delta };
    }
}
