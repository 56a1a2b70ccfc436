using System.Numerics.Tensors;
using Spectral.Training.Numerics;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class ConcreteMerge : OneModelMerge
{
    private const string Steps = "steps";
    private const string Rate = "lr";
    private const string Lambda = "lambda";
    private const string Temperature = "temperature";

    public override string Name => "concrete";

    public override string Formula =>
        "θ = θ0 + λ m ∘ Σ w_i τ_i / mean(m) in each tensor, m = σ((log u − log(1 − u) + ℓ) / T), u uniform at random; "
        + "one ℓ for every weight, from 0 by Adam on the entropy of the merged model's predictions";

    public override string Source =>
        "Tang et al., \"Concrete Subspace Learning based Interference Elimination for Multi-task Model Fusion\", 2023, "
        + "arXiv 2312.06173";

    public override string Use =>
        "Learns which weights the inputs can share, from records whose answers are not used: only the tokens before "
        + "each are read. Each file of records is a task, and the mean entropies are added. The whole model is on the "
        + "device with its gradients, in F32; ℓ and the moments of Adam take 12 bytes a weight on the host, and every "
        + "step reads the inputs twice. The paper takes 2,000 steps.";

    public override MergeUses Uses => MergeUses.Weights | MergeUses.Seed;

    public override MergeData Data => MergeData.Shared;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(Steps, 200, 0, 1_000_000, "Steps of Adam, each on one batch of every file of records."),
        new(Rate, 1e-3, 0, 10, "Learning rate."),
        new(Lambda, 0.3, 0, 10, "Factor λ of the merged change."),
        new(Temperature, 0.5, 1e-6, 100, "Temperature T; towards 0 each entry of the mask is 0 or 1."),
    ];

    internal override int Scans(MergeRun run) => 2 * (int)run.Setting(Steps);

    internal override TensorMerge Begin(MergeRun run)
    {
        int last = (int)run.Setting(Steps) + 1;
        Dictionary<string, ConcreteMask> masks = Learn(run);
        return tensor =>
        {
            float[] values = Merged(run, tensor, masks, last);
            return (piece, result) => values.AsSpan((int)piece.Start, result.Length).CopyTo(result);
        };
    }

    private static Dictionary<string, ConcreteMask> Learn(MergeRun run)
    {
        var masks = run.Merged.ToDictionary(
            name => name,
            name => new ConcreteMask(
                checked((int)run.Stored(name).Count),
                SplitMix64.Mix(run.Options.Seed + RandomStream.For(name)),
                run.Setting(Temperature)
            )
        );
        int steps = (int)run.Setting(Steps);
        if (steps == 0)
            return masks;
        using var training = new MergeTraining(run);
        for (int step = 1; step <= steps; step++)
        {
            int drawn = step;
            training.Set(tensor => Merged(run, tensor, masks, drawn));
            training.Differentiate(ofEntropy: true);
            run.Scan(tensor =>
            {
                float[] slopes = Sum(run, tensor);
                TensorPrimitives.Multiply(slopes, training.Gradient(tensor.Name), slopes);
                masks[tensor.Name].Learn(drawn, slopes, run.Setting(Rate));
            });
        }
        return masks;
    }

    private static float[] Merged(MergeRun run, MergeTensor tensor, Dictionary<string, ConcreteMask> masks, int step)
    {
        float[] mask = masks[tensor.Name].Draw(step);
        float[] sum = Sum(run, tensor);
        return tensor.Whole(
            (piece, part) =>
            {
                int start = (int)piece.Start;
                TensorPrimitives.MultiplyAdd(
                    mask.AsSpan(start, part.Length),
                    sum.AsSpan(start, part.Length),
                    piece.Base,
                    part
                );
            }
        );
    }

    /// <summary>Returns λ Σ w_i τ_i.</summary>
    private static float[] Sum(MergeRun run, MergeTensor tensor)
    {
        float lambda = (float)run.Setting(Lambda);
        return tensor.Whole(
            (piece, part) =>
            {
                part.Clear();
                for (int i = 0; i < run.Inputs; i++)
                    TensorPrimitives.MultiplyAdd(piece.Change(i), lambda * (float)run.Weights[i], part, part);
            }
        );
    }
}
