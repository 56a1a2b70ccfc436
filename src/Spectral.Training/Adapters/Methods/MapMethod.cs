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

    /// <summary>The deviation of factors that may not begin at zero.</summary>
    internal const double Deviation = 0.02;

    public override string Name => "map";
    public override string Formula => "alpha·W/|W| + beta·B·A/|B·A|, Frobenius norms";
    public override string Source => "MAP, 2025, arXiv 2505.23094";
    public override string Use =>
        "Two norms a layer beside LoRA’s numbers. The norms come from r×r products; the change "
        + "itself is never formed. map(NAME) does the same with the change of another method, e.g. map(vera).";
    public override bool IsPublishedForm => false;

    public override AdapterForm Form(AdapterBuilder layer) =>
        Normalized(
            layer,
            new AdapterForm
            {
                Terms =
                [
                    new(
                        layer.Trained(LoraNames.B, (layer.Out, layer.Rank), Start.Normal(Deviation)),
                        layer.Trained(LoraNames.A, (layer.Rank, layer.In), Start.Normal(Deviation))
                    ),
                ],
            }
        );

    internal override AdapterMethod Around(AdapterMethod inner) => new MapOfMethod(inner);

    public override void Initialize(IReadOnlyList<AdapterStart> starts) => Begin(starts);

    /// <summary>Returns a form of low-rank terms with trained norms of the weight and of the terms' sum.</summary>
    internal static AdapterForm Normalized(AdapterBuilder layer, AdapterForm form)
    {
        Factor alpha = layer.Trained(Alpha, 1);
        Factor beta = layer.Trained("map_beta", 1);
        Factor norm = layer.Frozen(Norm, 1);
        Expression scale = alpha.Multiply(norm.Reciprocal(), Broadcast.PerElement);
        Expression[] lefts = [.. form.Terms.Select(Left)];
        (Expression left, Expression right) =
            lefts.Length == 1
                ? (lefts[0], form.Terms[0].Right)
                : (
                    ExpressionOperations.ConcatColumns(lefts),
                    ExpressionOperations.ConcatRows([.. form.Terms.Select(term => term.Right)])
                );
        Expression length = left.MatMul(left, transposeA: true)
            .Dot(right.MatMul(right, transposeB: true))
            .Sqrt(SmallestSquare);
        // The output scale also acts on the change, so it is divided out there.
        Expression normalized = left.Multiply(
            beta.Multiply(length.Multiply(scale, Broadcast.PerElement).Reciprocal(), Broadcast.PerElement),
            Broadcast.Single
        );
        return form with { Terms = [new(normalized, right)], OutputScale = scale.Repeat(layer.Out) };
    }

    /// <summary>Starts the norms of the weights as they are.</summary>
    internal static void Begin(IReadOnlyList<AdapterStart> starts)
    {
        foreach (AdapterStart start in starts)
        {
            WeightNorms.Whole(start.Weight, start[Norm]);
            start[Alpha].CopyFrom(start[Norm]);
            start.Release();
        }
    }

    private static Expression Left(LowRankTerm term)
    {
        Expression left = term.Middle is null ? term.Left : term.Left.ScaleColumns(term.Middle);
        return term.Scale == 1 ? left : left.Scale(term.Scale);
    }
}
