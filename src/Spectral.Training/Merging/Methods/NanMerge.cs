using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class NanMerge : OneModelMerge
{
    private const string Norm = "norm";
    private const string Scope = "scope";
    private const string Model = "model";

    public override string Name => "nan";

    public override string Formula => "θ = θ0 + Σ λ_i τ_i, λ_i = (1 / ‖θ_i‖) / Σ_j (1 / ‖θ_j‖)";

    public override string Source =>
        "Si et al., \"NAN: A Training-Free Solution to Coefficient Estimation in Model Merging\", 2025, "
        + "arXiv 2505.16148";

    public override string Use =>
        "Chooses the weights from norms, without data: what moved further counts less, so that the inputs' shares are "
        + "even. The norm is the Frobenius norm of all tensors that are merged, of the whole parameters θ_i unless "
        + "norm=change; inputs of norm 0 share the weight.";

    public override bool IsPublishedForm => false;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Choice(Norm, "Whose norm counts: the parameters θ_i, or their changes τ_i.", "parameters", "change"),
        Setting.Choice(
            Scope,
            "Whether there is one weight for the whole model, or one for each tensor.",
            Model,
            "tensor"
        ),
    ];

    internal override int Scans(MergeRun run) => run.Chose(Scope, Model) ? 1 : 0;

    internal override TensorMerge Begin(MergeRun run)
    {
        if (!run.Chose(Scope, Model))
        {
            return tensor =>
            {
                double[] weights = Weights(Squares(tensor));
                return (piece, result) => WeightedSum.Add(piece, weights, result);
            };
        }

        double[] squares = new double[run.Inputs];
        run.Scan(tensor =>
        {
            double[] own = Squares(tensor);
            for (int i = 0; i < own.Length; i++)
                squares[i] += own[i];
        });
        double[] ofModel = Weights(squares);
        return _ => (piece, result) => WeightedSum.Add(piece, ofModel, result);

        double[] Squares(MergeTensor tensor) =>
            run.Chose(Norm, "change")
                ? Norms.Squares(tensor, (piece, input) => piece.Change(input))
                : Norms.Squares(tensor, (piece, input) => piece.Values(input));
    }

    private static double[] Weights(double[] squares)
    {
        int zeros = squares.Count(square => square == 0);
        if (zeros > 0)
            return [.. squares.Select(square => square == 0 ? 1.0 / zeros : 0)];
        double sum = squares.Sum(square => 1 / Math.Sqrt(square));
        return [.. squares.Select(square => 1 / Math.Sqrt(square) / sum)];
    }
}
