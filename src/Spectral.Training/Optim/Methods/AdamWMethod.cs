using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim.Methods;

internal sealed class AdamWMethod : OptimizerMethod
{
    public override string Name => OptimizerChoice.Default;

    public override string Formula =>
        "m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; θ ← θ − ηωθ − η (m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)";

    public override string Source =>
        "Loshchilov, Hutter, \"Decoupled Weight Decay Regularization\", 2019, arXiv 1711.05101; as in PyTorch";

    public override string Use => "The default: a rate of its own for each value, little to tune.";

    internal override bool ActsOnElements => true;

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) => 8 * shape.Count;

    internal override OptimizerRule Begin(OptimizerRun run) => Rule(run);

    /// <summary>Declares AdamW's state for all parameters and returns its step, with which others end.</summary>
    public static OptimizerRule Rule(OptimizerRun run)
    {
        ParameterSet parameters = run.Parameters;
        IReadOnlyList<Tensor> first = run.PerBuffer(AdamWOptimizer.First);
        IReadOnlyList<Tensor> second = run.PerBuffer(AdamWOptimizer.Second);
        return new OptimizerRule(() =>
        {
            for (int i = 0; i < parameters.Masters.Count; i++)
            {
                AdamW.Step(
                    parameters.Masters[i],
                    parameters.Gradients[i],
                    first[i],
                    second[i],
                    run.StepState,
                    (float)parameters.Rates[i]
                );
            }
        });
    }
}
