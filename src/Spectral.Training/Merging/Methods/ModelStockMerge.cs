namespace Spectral.Training.Merging.Methods;

internal sealed class ModelStockMerge : OneModelMerge
{
    private const double LeastDivisor = 1e-9;

    public override string Name => "model-stock";

    public override string Formula =>
        "θ = θ0 + t Σ τ_i / N, t = N cos ω / (1 + (N − 1) cos ω), ω the mean angle between the τ_i of each tensor";

    public override string Source =>
        "Jang, Yun, Han, \"Model Stock: All we need is just a few fine-tuned models\", 2024, arXiv 2403.19522";

    public override string Use =>
        "For runs of one task: the more the changes of a tensor differ in direction, the closer it stays to the base. "
        + "Orthogonal changes give the base, equal ones themselves.";

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
        {
            double weight = Ratio(Norms.Products(tensor), run.Inputs) / run.Inputs;
            double[] weights = [.. Enumerable.Repeat(weight, run.Inputs)];
            return (piece, result) => WeightedSum.Add(piece, weights, result);
        };

    /// <summary>Computes t from the inner products of all pairs.</summary>
    private static double Ratio(double[] products, int n)
    {
        if (n == 1)
            return 1;
        double angles = 0;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < i; j++)
            {
                double norms = Math.Sqrt(products[(i * n) + i] * products[(j * n) + j]);
                // A change of 0 has no direction and counts as orthogonal.
                angles += norms == 0 ? Math.PI / 2 : Math.Acos(Math.Clamp(products[(i * n) + j] / norms, -1, 1));
            }
        }

        double cosine = Math.Cos(angles / (n * (n - 1) / 2.0));
        double divisor = 1 + ((n - 1) * cosine);
        return divisor > LeastDivisor ? n * cosine / divisor : 0; // opposite changes cancel
    }
}
