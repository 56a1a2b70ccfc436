using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim.Methods;

internal sealed class LionMethod : OptimizerMethod
{
    public override string Name => "lion";

    public override string Formula => "θ ← θ − ηωθ − η sign(β₁m + (1−β₁)g); m ← β₂m + (1−β₂)g";

    public override string Source =>
        "Chen et al., \"Symbolic Discovery of Optimization Algorithms\", 2023, arXiv 2302.06675";

    public override string Use =>
        "Half of AdamW's state. Every value moves by the whole rate, so that the paper takes a rate 3 to 10 times "
        + "smaller than AdamW's, a weight decay larger by as much, and `--beta2 0.99`.";

    public override OptimizerUses Uses => OptimizerUses.Beta1 | OptimizerUses.Beta2 | OptimizerUses.DecayAndClip;

    internal override bool ActsOnElements => true;

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) => 4 * shape.Count;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        ParameterSet parameters = run.Parameters;
        IReadOnlyList<Tensor> means = run.PerBuffer("momentum");
        return new OptimizerRule(() =>
        {
            for (int i = 0; i < parameters.Masters.Count; i++)
            {
                Lion.Step(
                    parameters.Masters[i],
                    parameters.Gradients[i],
                    means[i],
                    run.StepState,
                    (float)parameters.Rates[i]
                );
            }
        });
    }
}
