using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// DyLoRA: every step trains the LoRA of one rank k, drawn at random: the first k rows of A and columns of B, with the
/// scale of that rank.
/// </summary>
internal sealed class DyloraMethod : AdapterMethod
{
    private const string Weights = "dylora_weights";

    public override string Name => "dylora";
    public override string Formula =>
        "W + (alpha/k)·B[:, :k]·A[:k], k drawn from 1 to rank for every step; in use k = rank, or prefix";
    public override string Source => "Valipour et al., 2023, arXiv 2210.07558";
    public override string Use =>
        "One training for all ranks. Like matryoshka, but with random ranks instead of weights: "
        + "every rank works by itself. Costs as much as LoRA.";
    public override bool ActsBetweenSteps => true;
    public override IReadOnlyList<AdapterSetting> Settings { get; } = [Prefixes.Setting];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm term = LoraMethod.Term(layer, layer.Rank);
        return new AdapterForm
        {
            Terms =
            [
                Prefixes.Of(layer, term)
                    ?? term with
                    {
                        Scale = 1,
                        Middle = layer.State(Weights, layer.Rank, Start.Of(layer.Options.Scale)),
                    },
            ],
        };
    }

    /// <summary>
    /// Sets the rank of the next step, as the same share of the rank of every layer; after the last step, all of it.
    /// </summary>
    public override bool AfterUpdate(AdapterStep step)
    {
        if (!step.Modules[0].Factors.ContainsKey(Weights))
            return false;
        // Drawn from the seed and the step only, so that a run can be repeated from any point.
        double share = RandomStream.For($"{Name}.{step.Options.Seed}.{step.Number}") % 1000003 / 1000003.0;
        foreach (AdaptedModule module in step.Modules)
        {
            int rank = module.Options.Rank;
            int k = step.Number == step.Total ? rank : 1 + (int)(share * rank);
            module
                .Factors[Weights]
                .Master.CopyFrom([
                    .. Enumerable.Range(0, rank).Select(i => i < k ? (float)module.Options.ScaleAt(k) : 0f),
                ]);
        }
        return true;
    }
}
