namespace Spectral.Training.Merging.Methods;

internal sealed class SceMerge : OneModelMerge
{
    public override string Name => "sce";

    public override string Formula =>
        "keep the ⌊density · n⌋ entries of largest variance over the τ_i, of those n that vary; "
        + "λ_i = ‖τ̂_i‖² / Σ ‖τ̂_j‖²; γ = sign(Σ τ̂_i), 0 counts as +; "
        + "θ = θ0 + Σ λ_i τ̂_i[sign τ̂_i = γ] / Σ λ_i[sign τ̂_i = γ]";

    public override string Source =>
        "Wan et al., \"FuseChat: Knowledge Fusion of Chat Models\", 2024, arXiv 2408.07990";

    public override string Use =>
        "Select, calculate, erase: chooses the weights of each tensor from the size of the changes, without data. With "
        + "a density of 1 nothing is dropped.";

    public override MergeUses Uses => MergeUses.Density;

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
        {
            TopValues? kept = run.Density < 1 ? Varying(tensor, run.Density) : null;
            double[] squares = tensor.Sum(
                run.Inputs,
                (piece, sums) =>
                {
                    Select(piece, kept);
                    for (int i = 0; i < sums.Length; i++)
                        sums[i] = Norms.Dot(piece.Change(i), piece.Change(i));
                }
            );
            double total = squares.Sum();
            double[] weights = [.. squares.Select(square => total == 0 ? 1.0 / run.Inputs : square / total)];
            return (piece, result) =>
            {
                Select(piece, kept);
                Erase(piece, weights, result);
                piece.AddBase(result);
            };
        };

    private static TopValues Varying(MergeTensor tensor, double density)
    {
        double[] count = tensor.Sum(
            1,
            (piece, sums) =>
            {
                foreach (float variance in Variances(piece).AsSpan(0, piece.Length))
                    sums[0] += variance > 0 ? 1 : 0;
            }
        );
        return new TopValues(tensor, (long)(density * count[0]), Variances);
    }

    private static void Select(MergePiece piece, TopValues? kept)
    {
        if (kept is null)
            return;
        float[] variances = Variances(piece);
        foreach (float[] change in piece.Changes())
            kept.Select(piece, variances, change.AsSpan(0, piece.Length));
    }

    private static float[] Variances(MergePiece piece)
    {
        float[][] changes = piece.Changes();
        float[] variances = new float[piece.Length];
        for (int i = 0; i < variances.Length; i++)
        {
            double sum = 0;
            double squares = 0;
            foreach (float[] change in changes)
                sum += change[i];
            double mean = sum / changes.Length;
            foreach (float[] change in changes)
                squares += (change[i] - mean) * (change[i] - mean);
            variances[i] = (float)(squares / changes.Length);
        }
        return variances;
    }

    private static void Erase(MergePiece piece, double[] weights, Span<float> result)
    {
        float[][] changes = piece.Changes();
        for (int i = 0; i < result.Length; i++)
        {
            float vote = 0;
            foreach (float[] change in changes)
                vote += change[i];
            double sum = 0;
            double divisor = 0;
            for (int input = 0; input < changes.Length; input++)
            {
                float change = changes[input][i];
                if (vote >= 0 ? change > 0 : change < 0)
                    (sum, divisor) = (sum + (weights[input] * change), divisor + weights[input]);
            }
            result[i] = divisor == 0 ? 0 : (float)(sum / divisor);
        }
    }
}
