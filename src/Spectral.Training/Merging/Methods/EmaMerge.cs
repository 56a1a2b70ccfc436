using System.Numerics.Tensors;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class EmaMerge : OneModelMerge
{
    private const string Alpha = "alpha";

    public override string Name => "ema";

    public override string Formula => "θ̄ ← α θ̄ + (1 − α) θ_i for i = 2 … N, from θ̄ = θ_1";

    public override string Source =>
        "Polyak averaging with weights that decay; Izmailov et al., 2018, arXiv 1803.05407";

    public override string Use =>
        "Averages checkpoints of one run, given in the order in which they were saved; the later ones count more.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Alpha, 0.9, 0, 1, "How much of the average stays at each step: 0 is the last input, 1 the first.")];

    public override bool DependsOnOrder => true;

    internal override TensorMerge Begin(MergeRun run)
    {
        float alpha = (float)run.Setting(Alpha);
        return _ =>
            (piece, result) =>
            {
                piece.Values(0).CopyTo(result);
                for (int i = 1; i < run.Inputs; i++)
                {
                    TensorPrimitives.Multiply(result, alpha, result);
                    TensorPrimitives.MultiplyAdd(piece.Values(i), 1 - alpha, result, result);
                }
            };
    }
}
