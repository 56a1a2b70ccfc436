using Spectral.Kernels;
using Spectral.Training.Numerics;
using Spectral.Training.Settings;

namespace Spectral.Training.Placement.Methods;

/// <summary>GIST for layers: ranks go where training moves along main directions of the validation gradient.</summary>
internal sealed class GistPlacement : PlacementMethod
{
    private const string Most = "rho";

    public override string Name => "gist";

    public override string Formula =>
        "Ḡ_val = Σ σ_i u_i v_iᵀ for each layer; score_i = σ_i · u_iᵀ Ḡ_train v_i; the largest positive scores of all "
        + "layers get a rank each, at most rho·r in a layer";

    public override string Source =>
        "Min et al., \"GIST: Targeted Data Selection for Instruction Tuning via Coupled Optimization Geometry\", 2026, "
        + "arXiv 2602.18584";

    public override string Use =>
        "A score is the part of a layer's ⟨Ḡ_val, Ḡ_train⟩ along one direction: how much a step of training lowers the "
        + "loss on --eval there. The paper scores training examples with the same projection, to select data; here it "
        + "scores directions of layers. Without --eval, --data is both. Runs both files forward and backward.";

    public override bool IsPublishedForm => false;

    public override bool RunsModel => true;

    public override bool UsesValidation => true;

    public override string BudgetOf => "ranks of all layers together; by default --rank for each layer to choose from";

    public override string ScoreOf => "sum of the scores of the layer's directions";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Most, 2, 1, 64, "The largest rank of a layer, in multiples of the rank; 1 keeps all ranks equal.")];

    internal override PlacementResult Place(PlacementRun run)
    {
        int most = (int)Math.Round(run.Setting(Most) * run.Options.Rank);
        string[] names = [.. run.Names];
        double[][] scores =
        [
            .. run
                .Validation.Gradients(names)
                .Zip(run.Training.Gradients(names), (validation, training) => Scores(validation, training, most)),
        ];
        long budget = run.Options.Budget ?? (long)run.Options.Rank * names.Length;
        // Ties go in model order.
        ILookup<int, double> chosen = scores
            .SelectMany((of, layer) => of.Select(score => (Layer: layer, Score: score)))
            .Where(direction => direction.Score > 0)
            .OrderByDescending(direction => direction.Score)
            .Take((int)Math.Min(budget, int.MaxValue))
            .ToLookup(direction => direction.Layer, direction => direction.Score);
        return new PlacementResult(
            [
                .. run.Layers.Select(
                    (layer, at) => new PlacedModule(layer, chosen[at].Count()) { Score = scores[at].Sum() }
                ),
            ],
            []
        );
    }

    /// <summary>Returns the scores of the leading directions of a layer, and disposes its gradients.</summary>
    private static double[] Scores(Tensor validation, Tensor training, int most)
    {
        using (validation)
        using (training)
        {
            float[] values = validation.ToArray();
            var found = Triplets.Leading(validation.Device, values, validation, most);
            var moved = HostMatrix.From(training.ToArray(), training.Dim(0), training.Dim(1));
            return
            [
                .. Enumerable
                    .Range(0, Math.Min(most, found.Count))
                    .Select(i => found.Values[i] * Projection(found.Left.Row(i), moved, found.Right.Row(i))),
            ];
        }
    }

    /// <summary>Returns uᵀ M v.</summary>
    private static double Projection(ReadOnlySpan<double> u, HostMatrix m, ReadOnlySpan<double> v)
    {
        double sum = 0;
        for (int i = 0; i < m.Rows; i++)
            sum += u[i] * HostMatrix.Dot(m.Row(i), v);
        return sum;
    }
}
