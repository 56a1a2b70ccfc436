using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class MezoMethod : OptimizerMethod
{
    private const string Perturbation = "perturbation";

    public override string Name => "mezo";

    public override string Formula =>
        "ĝ = (loss(θ + εz) − loss(θ − εz)) / 2ε, z ~ N(0, I) from the run's seed; θ ← θ − ηωθ − ηĝz";

    public override string Source =>
        "Malladi et al., \"Fine-Tuning Language Models with Just Forward Passes\", 2023, arXiv 2305.17333";

    public override string Use =>
        "Training in the memory of inference: two forward passes, no backward, no gradients and no state. The masters "
        + "are moved where they are, by ε, −2ε and ε, and return up to rounding, also in a skipped step. It needs many "
        + "more steps than AdamW, and a smaller rate the more parameters train. Not with dropout.";

    public override OptimizerUses Uses => OptimizerUses.WeightDecay;

    public override bool NeedsGradients => false;

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Perturbation, 1e-3, 1e-6, 1, "ε, how far the parameters are moved to measure the slope.")];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) => 0;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        float size = (float)run.Setting(Perturbation);
        RandomDirections directions = new(run, members: 1);
        return new OptimizerRule(() =>
            directions.Step(weights => RandomSearch.TwoPointWeight(run.Losses!, size, run.StepState, weights))
        )
        {
            Probes = new LossProbes(
                2,
                probe => directions.Move(0, probe == 0 ? size : -2 * size),
                () => directions.Move(0, size)
            ),
        };
    }
}
