using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class EsMethod : OptimizerMethod
{
    private const string Population = "population";
    private const string Deviation = "deviation";

    public override string Name => "es";

    public override string Formula =>
        "r_i = −loss(θ + σz_i), z_i ~ N(0, I) from the run's seed, i = 1 … N; r̃ = r standardised to mean 0 and "
        + "deviation 1; θ ← θ − ηωθ + η/(Nσ) Σ r̃_i z_i";

    public override string Source =>
        "Qiu et al., \"Evolution Strategies at Scale: LLM Fine-Tuning Beyond Reinforcement Learning\", 2025, arXiv "
        + "2509.24372";

    public override string Use =>
        "Training in the memory of inference, like `mezo`, with N forward passes in a step. The size of a step does "
        + "not depend on the size of the loss: each value moves by about η/(σ√N), so that rates are of σ's size times "
        + "what a step is to change. Not with dropout.";

    public override OptimizerUses Uses => OptimizerUses.WeightDecay;

    public override bool NeedsGradients => false;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        Setting.Whole(Population, 30, 2, 10_000, "N, the number of directions in a step."),
        new(Deviation, 1e-3, 1e-6, 10, "σ, how far the parameters are moved along a direction."),
    ];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) => 0;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        int members = (int)run.Setting(Population);
        float size = (float)run.Setting(Deviation);
        RandomDirections directions = new(run, members);
        return new OptimizerRule(() =>
            directions.Step(weights => RandomSearch.PopulationWeights(run.Losses!, size, run.StepState, weights))
        )
        {
            Probes = new LossProbes(members, Begin, () => directions.Move(members - 1, -size)),
        };

        void Begin(int member)
        {
            if (member > 0)
                directions.Move(member - 1, -size);
            directions.Move(member, size);
        }
    }
}
