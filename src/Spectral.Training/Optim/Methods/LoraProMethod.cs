using Spectral.Kernels;

namespace Spectral.Training.Optim.Methods;

internal sealed class LoraProMethod : OptimizerMethod
{
    public override string Name => "lora-pro";

    public override string Formula =>
        "for each pair of factors: p(g_L, g_R) = ((I−P_L) g_L (RRᵀ)⁻¹/s² − LX, (LᵀL)⁻¹ g_R/s² + XR), "
        + "LᵀL X + X RRᵀ = −(LᵀL)⁻¹ g_R Rᵀ/s²; E = s(L p_R + p_L R); Ê = AdamW's quotient of E; "
        + "(L, R) ← (1−ηω)(L, R) − η p(s Ê Rᵀ, s Lᵀ Ê); while L = 0: p(g_L, g_R) = (g_L, g_R)";

    public override string Source => "Wang, Liang, \"LoRA-Pro\", 2024, arXiv 2407.18242";

    public override string Use =>
        "LoRA whose product takes the step, among those that factors can take, that is nearest to full fine-tuning's. "
        + "A pair has two moments for each entry of the whole weight (8·out·in bytes), as full fine-tuning has, and a "
        + "step costs four products with it. 1e-8 is added to the diagonals of the Gram matrices. Factors without a "
        + "partner, and whole weights, get AdamW. Ranks up to 128.";

    public override string PairStateBytes => "8·out·in";

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) => 8 * shape.Count;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        IReadOnlyList<LoraProPair> pairs = LoraProPair.Of(run, GramPreconditioner.Apart(run.Parameters.Pairs));
        IReadOnlyList<Parameter> parameters = run.Parameters.Parameters;
        HashSet<Parameter> paired = [.. pairs.SelectMany(pair => pair.Factors)];
        AdamWPart others = new(
            run,
            Enumerable.Range(0, parameters.Count).Where(index => !paired.Contains(parameters[index]))
        );
        return new OptimizerRule(() =>
        {
            foreach (LoraProPair pair in pairs)
                pair.Update();
            others.Update();
        });
    }
}
