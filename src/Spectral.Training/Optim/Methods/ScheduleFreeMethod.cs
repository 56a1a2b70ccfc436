using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.IO;

namespace Spectral.Training.Optim.Methods;

internal sealed class ScheduleFreeMethod : OptimizerMethod
{
    public override string Name => "schedule-free-adamw";

    public override string Formula =>
        "v ← β₂v + (1−β₂)g²; n = g/(√(v/(1−β₂ᵗ)) + ε) + ωy; c = η̂²/Σ η̂², η̂ the largest rate so far; "
        + "y ← (1−c)y + cz + η(β₁(1−c) − 1)n; z ← z − ηn; g at y; x = y + (1 − 1/β₁)(z − y) is evaluated and saved";

    public override string Source =>
        "Defazio et al., \"The Road Less Scheduled\", 2024, arXiv 2405.15682; as in its PyTorch implementation";

    public override string Use =>
        "An average takes the place of a falling rate: use it with `--schedule constant` and a rate above AdamW's. "
        + "Losses of the steps are those at y; evaluations and the result are at x, which is better. A moment of the "
        + "gradients is not kept, so that the state is that of AdamW.";

    public override bool KeepsAverage => true;

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) =>
        8 * shape.Count + 8 * ScheduleFree.Weights;

    internal override void CheckValues(AdamWOptions options, Func<string, double> setting)
    {
        if (options.Beta1 <= 0)
            throw new InputException($"beta1 {options.Beta1}: {Name} expected a share of the average in y above 0");
    }

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        ParameterSet parameters = run.Parameters;
        IReadOnlyList<Tensor> fast = run.PerBuffer("fast");
        IReadOnlyList<Tensor> second = run.PerBuffer(AdamWOptimizer.Second);
        Tensor weights = run.State("averaging", ScheduleFree.Weights, DType.F64);
        Tensor factors = run.Scratch(ScheduleFree.Factors);
        float ofY = (float)(1 / run.Options.Beta1);
        return new OptimizerRule(() =>
        {
            ScheduleFree.Advance(weights, factors, run.StepState);
            for (int i = 0; i < parameters.Masters.Count; i++)
            {
                ScheduleFree.Step(
                    parameters.Masters[i],
                    parameters.Gradients[i],
                    fast[i],
                    second[i],
                    factors,
                    run.StepState,
                    (float)parameters.Rates[i]
                );
            }
        })
        {
            WriteAverage = () =>
            {
                if (run.StepState.Read().Steps == 0) // x, y and z are the same, and z is not written yet
                    return;
                foreach ((Tensor master, Tensor z) in parameters.Masters.Zip(fast))
                    Combine.Run(master, ofY, z, 1 - ofY, master);
            },
        };
    }
}
