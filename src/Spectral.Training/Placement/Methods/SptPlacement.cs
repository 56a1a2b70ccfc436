using Spectral.Kernels;
using Spectral.Training.IO;
using Spectral.Training.Settings;

namespace Spectral.Training.Placement.Methods;

/// <summary>SPT: LoRA where the most sensitive weights are many, single weights where they are few.</summary>
internal sealed class SptPlacement : PlacementMethod
{
    private const string Alpha = "alpha";
    private const int DefaultPart = 200; // 0.5 %, the middle of the paper's 0.2 to 1 %

    public override string Name => "spt";

    public override string Formula =>
        "s_w = Σ_batches (∂loss/∂w)²; of the τ weights of largest s, a matrix with at least r(out + in)/alpha gets "
        + "LoRA of rank r, a matrix with fewer trains them singly";

    public override string Source =>
        "He et al., \"Sensitivity-Aware Visual Parameter-Efficient Fine-Tuning\", 2023, arXiv 2303.08566";

    public override string Use =>
        "Spends parameters where the loss depends most on the weights. Runs the records once, forward and backward; "
        + "models whose gradients exceed 4 GiB take several passes. The authors vary τ until all trained parameters "
        + "meet a number; here --budget is τ and the number is printed. Biases and norms, which they choose too, are "
        + "left out.";

    public override bool RunsModel => true;

    public override string BudgetOf =>
        "weights τ that count as sensitive; by default one in 200 of those that may be chosen";

    public override string ScoreOf => "sensitive weights";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Alpha, 5, 0.001, 1e6, "How much sooner a matrix gets LoRA than by the number of its parameters.")];

    internal override PlacementResult Place(PlacementRun run)
    {
        long weights = run.Layers.Sum(layer => (long)layer.Out * layer.In);
        long budget = run.Options.Budget ?? Math.Max(1, weights / DefaultPart);
        if (budget > weights)
            throw new InputException($"budget {budget}: the layers to choose from have {weights} weights");
        var sensitive = new MostSensitive(budget);
        int at = 0;
        foreach (Tensor squares in run.Training.SquaredGradients([.. run.Names]))
        {
            using (squares)
                sensitive.Add(at++, squares.ToArray());
        }

        long[] counts = sensitive.Counts(run.Layers.Count);
        double alpha = run.Setting(Alpha);
        PlacedModule[] placed =
        [
            .. run.Layers.Zip(
                counts,
                (layer, count) =>
                {
                    bool adapted = count >= run.Options.Rank * ((long)layer.Out + layer.In) / alpha;
                    return new PlacedModule(layer, adapted ? run.Options.Rank : 0)
                    {
                        Entries = adapted ? 0 : count,
                        Score = count,
                    };
                }
            ),
        ];
        long single = placed.Sum(module => module.Entries);
        string[] notes =
        [
            $"{single} single weights in {placed.Count(module => module.Entries > 0)} matrices are left; finetune "
                + "trains the LoRA part with --rank-pattern, and single weights with methods for sparse changes",
        ];
        return new PlacementResult(placed, single > 0 ? notes : []);
    }
}
