using Spectral.Training.Settings;

namespace Spectral.Training.Merging.Methods;

internal sealed class CapVectorMerge : OneModelMerge
{
    private const string Alpha = "alpha";

    public override string Name => "capvector";

    public override string Formula => "θ = θ0 + α c, c = θ_1 − θ_2";

    public override string Source => "CapVector, the difference of two runs as a vector of capability";

    public override string Use =>
        "Adds what an auxiliary loss taught: input 1 was tuned with it, input 2 on the same data without it. The "
        + "result is a start for further tuning.";

    public override bool IsPublishedForm => false;

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Alpha, 1, -10, 10, "Factor α of the capability vector c.")];

    public override int LeastInputs => 2;

    public override int MostInputs => 2;

    public override bool DependsOnOrder => true;

    internal override TensorMerge Begin(MergeRun run)
    {
        double[] weights = [run.Setting(Alpha), -run.Setting(Alpha)];
        return _ => (piece, result) => WeightedSum.Add(piece, weights, result);
    }
}
