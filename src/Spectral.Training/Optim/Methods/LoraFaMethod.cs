using Spectral.Kernels;

namespace Spectral.Training.Optim.Methods;

internal sealed class LoraFaMethod : OptimizerMethod
{
    private const double Damping = 1e-8;

    public override string Name => "lora-fa";

    public override string Formula =>
        "for each pair of factors with scale s: R is frozen, g_L ← g_L (RRᵀ + 1e-8 I)⁻¹ / s²; then AdamW of all but R";

    public override string Source => "Zhang et al., \"LoRA-FA\", 2023, arXiv 2308.03303; as in PEFT";

    public override string Use =>
        "LoRA with A frozen at its start. A step changes the product as the gradient of the whole weight asks, as far "
        + "as A's rows reach. With the adapter `lora-fa` backward also keeps no layer input; with others A's gradient "
        + "is computed and dropped. Factors without a partner, and whole weights, get AdamW. Ranks up to 256.";

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) => 8 * shape.Count;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        ParameterSet parameters = run.Parameters;
        FactorPair[] pairs = [.. parameters.Pairs, .. parameters.LeftOnly];
        HashSet<Parameter> frozen = [.. parameters.Pairs.Select(pair => pair.Right)];
        IReadOnlyList<GramPreconditioner> terms = GramPreconditioner.Of(run, pairs, Damping, ofRight: false);
        AdamWPart adamW = new(
            run,
            Enumerable
                .Range(0, parameters.Parameters.Count)
                .Where(index => !frozen.Contains(parameters.Parameters[index])),
            terms.SelectMany(term => term.Results).ToDictionary()
        );
        return new OptimizerRule(() =>
        {
            foreach (GramPreconditioner term in terms)
                term.ApplyToLeft((float)(1 / (term.Scale * term.Scale)));
            adamW.Update();
        })
        {
            Complete = () =>
            {
                foreach (Parameter factor in frozen)
                    factor.Gradient!.Clear(); // it is not part of the norm
            },
        };
    }
}
