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
        + "tasks are enough. Each file of records is a task, and the means of their losses are added. Of inputs that "
        + "are low-rank terms and nothing else, such as LoRAs, the factors are on the device beside the frozen base, "
        + "in F32. If any input is more, the whole model is on the device with its gradients, and every step reads "
        + "the inputs twice.";

    public override MergeUses Uses => MergeUses.Seed;

    public override MergeData Data => MergeData.Shared;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(Steps, 100, 0, 1_000_000, "Steps of Adam, each on one batch of every file of records."),
        new(Rate, 0.05, 0, 10, "Learning rate."),
    ];

    internal override int Scans(MergeRun run)
    {
        int steps = (int)run.Setting(Steps);
        return CoefficientModel.IsLowRank(run) ? steps : Math.Max(0, (2 * steps) - 1);
    }

    internal override TensorMerge Begin(MergeRun run)
    {
        Dictionary<string, float[]> coefficients = Learn(run);
        return tensor =>
        {
            double[] own = Array.ConvertAll(coefficients[tensor.Name], value => (double)value);
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
        using var model = CoefficientModel.Of(run);
        for (int step = 1; step <= steps; step++)
        {
            IReadOnlyDictionary<string, float[]> slopes = model.Slopes(coefficients);
            Clip(slopes.Values);
            foreach ((string name, float[] slope) in slopes)
                moments[name].Step(coefficients[name], slope, step, run.Setting(Rate));
        }
        return coefficients;
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
