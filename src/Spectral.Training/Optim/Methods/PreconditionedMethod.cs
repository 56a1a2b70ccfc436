using Spectral.Kernels;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class PreconditionedMethod : OptimizerMethod
{
    private const string Damping = "damping";

    public override string Name => "preconditioned";

    public override string Formula =>
        "for each pair of factors: g_L ← g_L (RRᵀ + δI)⁻¹, g_R ← (LᵀL + δI)⁻¹ g_R; then AdamW of all";

    public override string Source =>
        "Zhang, Pilanci, \"Riemannian Preconditioned LoRA\", 2024, arXiv 2402.02347; as in LoRA-One, Zhang, Liu, Chen, "
        + "2025, arXiv 2502.01235";

    public override string Use =>
        "Low-rank adapters whose factors differ in size: a step hardly depends on how their product is shared out "
        + "between them. The adapter `lora-one` is trained with it. Factors without a partner, and whole weights, get "
        + "AdamW. Ranks up to 256.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Damping, 1e-2, 1e-4, 1e6, "δ, which is added to the diagonals of the Gram matrices.")];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) => 8 * shape.Count;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        double damping = run.Setting(Damping);
        ParameterSet parameters = run.Parameters;
        IReadOnlyList<GramPreconditioner> terms = GramPreconditioner.Of(run, parameters.Pairs, damping, ofRight: true);
        IReadOnlyList<GramPreconditioner> lefts = GramPreconditioner.Of(
            run,
            parameters.LeftOnly,
            damping,
            ofRight: false
        );
        AdamWPart adamW = new(
            run,
            Enumerable.Range(0, parameters.Parameters.Count),
            terms.Concat(lefts).SelectMany(term => term.Results).ToDictionary()
        );
        return new OptimizerRule(() =>
        {
            foreach (GramPreconditioner term in terms)
            {
                term.ApplyToLeft(1);
                term.ApplyToRight(1);
            }

            foreach (GramPreconditioner term in lefts)
                term.ApplyToLeft(1);
            adamW.Update();
        });
    }
}
