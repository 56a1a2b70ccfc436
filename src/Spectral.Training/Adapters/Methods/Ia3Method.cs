using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>IA3: a bias is scaled with its output.</summary>
internal sealed class Ia3Method : AdapterMethod
{
    private const string Scale = "ia3_l";

    public override string Name => "ia3";
    public override string Formula => "diag(l)·W, or W·diag(l) for the layer that ends a feed-forward block";
    public override string Source => "Liu et al., 2022, arXiv 2205.05638";
    public override string Use => "One number per output (or input): tiny, quick, and merged without a trace.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } = [PeftField.Names("feedforward_modules", options => options.TargetModules.Where(IsFeedForward), IsFeedForward), .. PeftField.Ignored("init_ia3_weights")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        if (IsFeedForward(layer.Module.Name))
            return new AdapterForm { InputScale = layer.Trained(Scale, (1, layer.In), Start.Ones) };
        var scale = layer.Trained(Scale, (layer.Out, 1), Start.Ones);
        return new AdapterForm { OutputScale = scale, Bias = layer.Bias?.Multiply(scale.Reshape(layer.Out), Broadcast.PerElement) };
    }

    /// <summary>PEFT's feedforward_modules for the Llama family.</summary>
    private static bool IsFeedForward(string module) => module.EndsWith("down_proj", StringComparison.Ordinal);
}
