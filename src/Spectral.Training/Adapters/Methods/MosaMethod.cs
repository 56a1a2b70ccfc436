using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Numerics;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MoSA: a LoRA is split into parts, and every step trains one of them, drawn at random. In use the parts are added up,
/// so that the adapter is a plain LoRA. A part is some rows of A with their columns of B, where the paper splits the
/// entries of other adapters.
/// </summary>
internal sealed class MosaMethod : AdapterMethod
{
    private const string Active = "mosa_active";
    private const string Parts = "parts";

    public override string Name => "mosa";
    public override string Formula =>
        "W + (alpha/rank)·Σ_p B_p·A_p, one part p drawn for every step; in use all of them";
    public override string Source => "Zhang et al., 2023, arXiv 2312.02923";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "LoRA whose parts learn independently of one another, against their doing the same. Costs as much as LoRA.";
    public override bool ActsBetweenSteps => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [AdapterSetting.Whole(Parts, 4, 1, 65536, "Number of parts, at most the rank.")];

    public override AdapterForm Form(AdapterBuilder layer) =>
        new()
        {
            Terms =
            [
                LoraMethod.Term(layer, layer.Rank) with
                {
                    Scale = 1,
                    Middle = layer.State(Active, layer.Rank, Start.Of(layer.Options.Scale)),
                },
            ],
        };

    /// <summary>Switches off all parts but the one of this step, which is the same in every layer.</summary>
    public override bool BeforeForward(AdapterStep step)
    {
        // Drawn from the seed and the step only, so that a run can be repeated from any point.
        ulong drawn = RandomStream.For($"{Name}.{step.Options.Seed}.{step.Number}");
        Switch(step, (i, parts) => i % parts == (int)(drawn % (ulong)parts));
        return true;
    }

    /// <summary>Switches all parts on again, for evaluation and for use.</summary>
    public override bool AfterUpdate(AdapterStep step)
    {
        Switch(step, (_, _) => true);
        return true;
    }

    private void Switch(AdapterStep step, Func<int, int, bool> isOn)
    {
        foreach (AdaptedModule module in step.Modules)
        {
            int parts = Math.Min((int)module.Options.Setting(this, Parts), module.Options.Rank);
            float scale = (float)module.Options.Scale;
            module
                .Factors[Active]
                .Master.CopyFrom([.. Enumerable.Range(0, module.Options.Rank).Select(i => isOn(i, parts) ? scale : 0)]);
        }
    }
}
