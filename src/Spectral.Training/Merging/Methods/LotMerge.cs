using Spectral.Training.IO;
using Spectral.Training.Numerics;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class LotMerge : OneModelMerge
{
    private const string Delta = "delta";

    public override string Name => "lot";

    public override string Formula =>
        "W = W0 + (Σ τ_i A_i) (Σ A_i + δ I)⁻¹ for linear weights, A_i = X_iᵀ X_i of the inputs X_i [tokens, in] that "
        + "the layer has in expert i on its own records; norms before them, entry by entry: θ0 + Σ τ_i a_i / Σ a_i, "
        + "a_i the sum of squares of what the weight multiplies; all other tensors: θ0 + mean τ_i";

    public override string Source =>
        "Sun et al., \"Towards Minimizing Feature Drift in Model Merging: Layer-wise Task Vector Fusion for Adaptive "
        + "Knowledge Integration\", 2025, arXiv 2505.23859";

    public override string Use =>
        "Gives each layer the change whose outputs are closest to those of every expert on that expert's records, in "
        + "one step and without gradients; a few dozen records for each input do. Each expert is loaded and run once, "
        + "and in² numbers of each layer and expert are kept in temporary files. δ stands for the pseudoinverse of the "
        + "paper: directions that no record shows stay as in the base.";

    public override string? Cost =>
        "Solves a system of size inputs × inputs for each weight on the host, about 9 minutes a weight, beside running "
        + "the experts.";

    public override MergeData Data => MergeData.PerInput;

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Delta, 1e-4, 1e-12, 1, "δ as a share of the mean of the diagonal of Σ A_i.")];

    internal override TensorMerge Begin(MergeRun run)
    {
        ExpertInputs inputs = run.Own(new ExpertInputs(run));
        double[] equal = [.. Enumerable.Repeat(1.0 / run.Inputs, run.Inputs)];
        return tensor =>
        {
            if (!inputs.Has(tensor.Name))
                return (piece, result) => WeightedSum.Add(piece, equal, result);
            double[] change = tensor.Place.IsLinear
                ? OfLinear(tensor, inputs, run.Setting(Delta))
                : OfNorm(tensor, inputs);
            return (piece, result) =>
            {
                for (int i = 0; i < result.Length; i++)
                    result[i] = (float)change[piece.Start + i];
                piece.AddBase(result);
            };
        };
    }

    private static double[] OfLinear(MergeTensor tensor, ExpertInputs inputs, double share)
    {
        (int rows, int columns) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
        HostMatrix products = new(rows, columns); // Σ τ_i A_i
        HostMatrix total = new(columns, columns); // Σ A_i
        for (int i = 0; i < tensor.Inputs; i++)
        {
            HostMatrix own = inputs.Product(tensor.Name, i);
            products = products.Plus(HostMatrix.From(tensor.Change(i), rows, columns).TimesTransposed(own));
            total = total.Plus(own);
        }
        double trace = 0;
        for (int i = 0; i < columns; i++)
            trace += total[i, i];
        for (int i = 0; i < columns; i++)
            total.Values[(i * columns) + i] += share * trace / columns;
        // A layer whose inputs are all zero has no outputs to keep.
        if (trace == 0)
            return products.Values;
        return total.Solve(products.Transposed())?.Transposed().Values
            ?? throw new InputException(
                $"tensor {tensor.Name}: the inputs of the layer leave no single solution; expected more records or a "
                    + $"larger {Delta}"
            );
    }

    private static double[] OfNorm(MergeTensor tensor, ExpertInputs inputs)
    {
        double[] sum = new double[tensor.Count];
        double[] divisor = new double[tensor.Count];
        double[] mean = new double[tensor.Count];
        for (int i = 0; i < tensor.Inputs; i++)
        {
            HostMatrix own = inputs.Product(tensor.Name, i);
            float[] weight = tensor.Values(i);
            float[] change = tensor.Change(i);
            for (int j = 0; j < change.Length; j++)
            {
                // The layers read weight ∘ x, so that Σ x² is theirs over the weight's square.
                double squares = weight[j] == 0 ? 0 : own[j, j] / ((double)weight[j] * weight[j]);
                sum[j] += change[j] * squares;
                divisor[j] += squares;
                mean[j] += (double)change[j] / tensor.Inputs;
            }
        }
        for (int j = 0; j < sum.Length; j++)
            sum[j] = divisor[j] > 0 ? sum[j] / divisor[j] : mean[j];
        return sum;
    }
}
