using System.Globalization;
using System.Numerics.Tensors;
using Spectral.Training.IO;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class DellaMerge : OneModelMerge
{
    private const string Epsilon = "epsilon";
    private const string Lambda = "lambda";
    private const string Election = "election";

    public override string Name => "della";

    public override string Formula =>
        "τ̂_i = m_i ∘ τ_i / p_i, m_i ~ Bernoulli(p_i), p_i from density − epsilon to density + epsilon by the rank of "
        + "∣τ_i∣ in its row; γ = sign(Σ τ̂_i), 0 counts as +; θ = θ0 + λ Σ w_i τ̂_i[sign τ̂_i = γ] / max(1, #agreeing)";

    public override string Source =>
        "Deep, Bhardwaj, Poria, \"DELLA-Merging: Reducing Interference in Model Merging through Magnitude-Based "
        + "Sampling\", 2024, arXiv 2406.11617";

    public override string Use =>
        "Random drops as in dare-ties, in which larger changes are likelier to stay. Density ± epsilon must lie within "
        + "0 and 1; a density of 1 drops nothing.";

    public override MergeUses Uses => MergeUses.Weights | MergeUses.Density | MergeUses.Seed;

    public override double DefaultDensity => 0.5;

    public override bool DependsOnOrder => true;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(
            Epsilon,
            0.15,
            0,
            0.5,
            "How far the probability of staying goes from the density, for the largest and the smallest."
        ),
        new(Lambda, 1, 0, 10, "Factor λ of the merged change."),
        Setting.Switch(Election, true, "Whether the inputs vote on signs; off adds what stays."),
        SignElection.Setting,
    ];

    internal override TensorMerge Begin(MergeRun run)
    {
        (double density, double epsilon) = (run.Density, run.Setting(Epsilon));
        if (density < 1 && (density - epsilon <= 0 || density + epsilon >= 1))
        {
            throw new InputException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"density {density} and epsilon {epsilon}: expected density ± epsilon within 0 and 1"
                )
            );
        }

        float lambda = (float)run.Setting(Lambda);
        SignElection election = new(run);
        double[] weights = [.. run.Weights.Select(weight => weight * lambda)];
        return tensor =>
        {
            RandomDrops drops = new(tensor);
            return (piece, result) =>
            {
                for (int i = 0; density < 1 && i < run.Inputs; i++)
                    Drop(tensor, piece, i, drops, density, epsilon);
                if (!run.Chose(Election, "on"))
                {
                    WeightedSum.Add(piece, weights, result);
                    return;
                }

                election.Merge(piece, result);
                TensorPrimitives.MultiplyAdd(result, lambda, piece.Base, result);
            };
        };
    }

    private static void Drop(
        MergeTensor tensor,
        MergePiece piece,
        int input,
        RandomDrops drops,
        double density,
        double epsilon
    )
    {
        Span<float> change = piece.Change(input);
        int width = tensor.Shape.Count < 2 ? (int)tensor.Count : (int)(tensor.Count / tensor.Shape[0]);
        float[] row = new float[width];
        int[] order = new int[width];
        for (long start = piece.Start / width * width; start < piece.Start + piece.Length; start += width)
        {
            tensor.ReadChange(input, start, row);
            TensorPrimitives.Abs(row, row);
            for (int i = 0; i < width; i++)
                order[i] = i;
            Array.Sort(row, order); // ascending; a piece may hold a part of the row
            for (int rank = 0; rank < width; rank++)
            {
                long at = start + order[rank] - piece.Start;
                if (at < 0 || at >= piece.Length)
                    continue;
                double stays = density + (epsilon * ((2.0 * rank / Math.Max(1, width - 1)) - 1));
                change[(int)at] = drops.Uniform(piece, input, (int)at) < stays ? (float)(change[(int)at] / stays) : 0;
            }
        }
    }
}
