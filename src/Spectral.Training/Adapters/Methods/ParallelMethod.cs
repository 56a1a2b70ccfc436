using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>The parallel adapter, at each linear layer.</summary>
internal sealed class ParallelMethod : AdapterMethod
{
    public override string Name => "parallel";
    public override string Formula => "y = W x + scale·B·relu(A x)";
    public override string Source => "He et al., 2021, arXiv 2110.04366";
    public override string Use =>
        "The adapter of the unified view: a bottleneck with a ReLU, parallel to the layer. It cannot be merged.";
    public override IReadOnlyList<AdapterSetting> Settings => [new("scale", 4, 1e-6, 1e6, "Factor of the change.")];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Factor left = layer.Trained("adapter_up", (layer.Out, rank));
        return new AdapterForm
        {
            Terms =
            [
                new(
                    left,
                    layer.Trained("adapter_down", (rank, layer.In), Start.KaimingUniform),
                    layer.Setting("scale")
                ),
            ],
            Rectified = true,
        };
    }
}
