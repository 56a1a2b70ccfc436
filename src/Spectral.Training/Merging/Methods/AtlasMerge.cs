using System.Numerics.Tensors;
using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class AtlasMerge : OneModelMerge
{
    private const string Steps = "steps";
    private const string Rate = "lr";
    private const double LargestGradient = 1;

    public override string Name => "atlas";

    public override string Formula =>
        "θ = θ0 + Σ λ_i,t τ_i with one λ for every input and tensor t, from 0 by Adam on the loss of the records; "
        + "dλ_i,t = ⟨G_t, τ_i,t⟩, all of them together clipped to norm 1";

    public override string Source =>
        "Zhang et al., \"Knowledge Composition using Task Vectors with Learned Anisotropic Scaling\", 2024, arXiv "
        + "2407.02880";

    public override string Use =>
        "Learns how much of each input every tensor takes, a few hundred numbers in all, so that few records of the "
        + "tasks are enough. Each file of records is a task, and the means of their losses are added. The whole model "
        + "is on the device with its gradients, in F32, and every step reads the inputs twice.";

    public override MergeUses Uses => MergeUses.Seed;

    public override MergeData Data => MergeData.Shared;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(Steps, 100, 0, 1_000_000, "Steps of Adam, each on one batch of every file of records."),
        new(Rate, 0.05, 0, 10, "Learning rate."),
    ];

    internal override int Scans(MergeRun run) => Math.Max(0, (2 * (int)run.Setting(Steps)) - 1);

    internal override TensorMerge Begin(MergeRun run)
    {
        Dictionary<string, float[]> coefficients = Learn(run);
        return tensor =>
        {
            double[] own = Weights(coefficients, tensor);
            return (piece, result) => WeightedSum.Add(piece, own, result);
        };
    }

    private static Dictionary<string, float[]> Learn(MergeRun run)
    {
        var coefficients = run.Merged.ToDictionary(name => name, _ => new float[run.Inputs]);
        var moments = run.Merged.ToDictionary(name => name, _ => new AdamMoments(run.Inputs));
        int steps = (int)run.Setting(Steps);
        if (steps == 0)
            return coefficients;
        using var training = new MergeTraining(run);
        for (int step = 1; step <= steps; step++)
        {
            if (step > 1)
            {
                training.Set(tensor =>
                {
                    double[] own = Weights(coefficients, tensor);
                    return tensor.Whole((piece, part) => WeightedSum.Add(piece, own, part));
                });
            }
            training.Differentiate(ofEntropy: false);
            Dictionary<string, float[]> slopes = [];
            run.Scan(tensor => slopes[tensor.Name] = Slopes(tensor, training.Gradient(tensor.Name)));
            Clip(slopes.Values);
            foreach ((string name, float[] slope) in slopes)
                moments[name].Step(coefficients[name], slope, step, run.Setting(Rate));
        }
        return coefficients;
    }

    private static double[] Weights(Dictionary<string, float[]> coefficients, MergeTensor tensor) =>
        Array.ConvertAll(coefficients[tensor.Name], value => (double)value);

    /// <summary>Returns the derivative of the loss by the coefficient of each input in a tensor.</summary>
    private static float[] Slopes(MergeTensor tensor, float[] gradient)
    {
        double[] products = tensor.Sum(
            tensor.Inputs,
            (piece, sums) =>
            {
                ReadOnlySpan<float> own = gradient.AsSpan((int)piece.Start, piece.Length);
                for (int i = 0; i < sums.Length; i++)
                    sums[i] = TensorPrimitives.Dot(own, piece.Change(i));
            }
        );
        return Array.ConvertAll(products, value => (float)value);
    }

    private static void Clip(IEnumerable<float[]> slopes)
    {
        double norm = Math.Sqrt(slopes.Sum(own => own.Sum(value => (double)value * value)));
        if (norm <= LargestGradient)
            return;
        foreach (float[] own in slopes)
            TensorPrimitives.Multiply(own, (float)(LargestGradient / norm), own);
    }
}
