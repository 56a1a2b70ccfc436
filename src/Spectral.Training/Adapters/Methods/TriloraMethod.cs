using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// TriLoRA: both factors start Kaiming-uniform and the diagonal between them at zero. There is no scale.
/// </summary>
internal sealed class TriloraMethod : AdapterMethod
{
    public override string Name => "trilora";
    public override string Formula => "W + B·diag(e)·A, e from zero";
    public override string Source => "Feng et al., 2024, arXiv 2405.11009";
    public override string Use => "LoRA in the shape of an SVD: e shows which directions matter.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Factor left = layer.Trained(LoraNames.B, (layer.Out, rank), Start.KaimingUniform);
        return new AdapterForm
        {
            Terms =
            [
                new(left, layer.Trained(LoraNames.A, (rank, layer.In), Start.KaimingUniform))
                {
                    Middle = layer.Trained("lora_E", rank),
                },
            ],
        };
    }
}
