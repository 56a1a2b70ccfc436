using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>MoSLoRA: a trained r×r matrix mixes the subspaces of the two factors.</summary>
internal sealed class MosloraMethod : AdapterMethod
{
    public override string Name => "moslora";
    public override string Formula => "W + s·B·C·A, C [r, r] trained";
    public override string Source => "Wu et al., 2024, arXiv 2406.11909";
    public override string Use => "LoRA with mixed subspaces: r² more numbers, merged as cheaply.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Expression left = layer
            .Trained(LoraNames.B, (layer.Out, rank))
            .MatMul(layer.Trained("lora_mixer", (rank, rank), Start.Normal(0.02)));
        return new AdapterForm
        {
            Terms = [new(left, layer.Trained(LoraNames.A, (rank, layer.In), Start.Normal(0.02)), layer.Options.Scale)],
        };
    }
}
