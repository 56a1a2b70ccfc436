using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>Hydra: the sequential branch is folded into the right factor, A2·W, once per step.</summary>
internal sealed class HydraMethod : AdapterMethod
{
    public override string Name => "hydra";
    public override string Formula => "W + s·B1·A1 + s·B2·A2·W";
    public override string Source => "Kim et al., 2023, arXiv 2309.06922";
    public override string Use =>
        "A parallel and a sequential branch in one; the sequential one acts on the layer's output. "
        + "Costs twice the rank in the core, and two thin products with W per step.";

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, double scale) = (layer.Rank, layer.Options.Scale);
        LowRankTerm parallel = LoraMethod.Term(layer, rank);
        Factor b = layer.Trained("hydra_B.weight", (layer.Out, rank));
        Factor a = layer.Trained("hydra_A.weight", (rank, layer.Out), Start.KaimingUniform);
        Expression? bias = layer.Bias?.Add(
            b.MatMul(a.MatMul(layer.Bias.Reshape((layer.Out, 1)))).Reshape(layer.Out),
            1,
            scale
        );
        return new AdapterForm { Terms = [parallel, new(b, a.MatMul(layer.Weight), scale)], Bias = bias };
    }
}
