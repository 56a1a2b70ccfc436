using System.Numerics.Tensors;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class WiseFtMerge : OneModelMerge
{
    private const string Alpha = "alpha";

    public override string Name => "wise-ft";

    public override string Formula => "θ = (1 − α) θ0 + α θ_1";

    public override string Source =>
        "Wortsman et al., \"Robust fine-tuning of zero-shot models\", 2021, arXiv 2109.01903";

    public override string Use =>
        "Goes part of the way from the base to one tuned model, which often keeps more of what the base can do.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Alpha, 0.5, 0, 1, "How far to go: 0 is the base, 1 the tuned model.")];

    public override int MostInputs => 1;

    internal override TensorMerge Begin(MergeRun run)
    {
        float alpha = (float)run.Setting(Alpha);
        return _ =>
            (piece, result) =>
            {
                TensorPrimitives.Multiply(piece.Base, 1 - alpha, result);
                TensorPrimitives.MultiplyAdd(piece.Values(0), alpha, result, result);
            };
    }
}
