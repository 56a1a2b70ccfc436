using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>MAP: the whole matrix is treated as one vector with a trained norm, and so is its change.</summary>
internal sealed class MapMethod : AdapterMethod
{
    private const string Alpha = "map_alpha";
    private const string Norm = "map_w_norm";
    private const double SmallestSquare = 1e-24;

    public override string Name => "map";
    public override string Formula => "alpha·W/|W| + beta·B·A/|B·A|, Frobenius norms";
    public override string Source => "MAP, 2025";
    public override string Use =>
        "Two norms a layer beside LoRA’s numbers. The norms come from r×r products; the change "
        + "itself is never formed.";
    public override bool IsPublishedForm => false;

    public override AdapterForm Form(AdapterBuilder layer)
    {
        int rank = layer.Rank;
        Factor b = layer.Trained(LoraNames.B, (layer.Out, rank), Start.Normal(0.02));
        Factor a = layer.Trained(LoraNames.A, (rank, layer.In), Start.Normal(0.02));
        Factor alpha = layer.Trained(Alpha, 1);
        Factor beta = layer.Trained("map_beta", 1);
        Factor norm = layer.Frozen(Norm, 1);
        Expression scale = alpha.Multiply(norm.Reciprocal(), Broadcast.PerElement);
        Expression length = b.MatMul(b, transposeA: true).Dot(a.MatMul(a, transposeB: true)).Sqrt(SmallestSquare);
        // The output scale also acts on the change, so it is divided out there.
        Expression left = b.Multiply(
            beta.Multiply(length.Multiply(scale, Broadcast.PerElement).Reciprocal(), Broadcast.PerElement),
            Broadcast.Single
        );
        return new AdapterForm { Terms = [new(left, a)], OutputScale = scale.Repeat(layer.Out) };
    }

    public override void Initialize(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            WeightNorms.Whole(start.Weight, start[Norm]);
            start[Alpha].CopyFrom(start[Norm]);
            start.Release();
        }
    }
}
