using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Tokens;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MiLoRA, the mixture: a router looks at the prompt once and chooses among the LoRAs of a layer; every token of the
/// record gets what it chose. Its name is also that of another method (<see cref="MiloraMethod"/>).
/// </summary>
internal sealed class MiloraMixtureMethod : AdapterMethod
{
    private const string Experts = "experts";
    private const string Chosen = "experts-per-prompt";
    private const string Balance = "balance";

    public override string Name => "milora-mixture";
    public override string Formula =>
        "y = W·x + (alpha/rank)·Σ_e π_e·B_e·A_e·x, π the softmax of the largest experts-per-prompt of R·x̄, x̄ the "
        + "mean input over the prompt";
    public override string Source => "Zhang et al., 2024, arXiv 2410.18035";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "A mixture of LoRAs that is routed once per prompt, so that generated tokens cost no router. The paper chooses "
        + "among the LoRAs of a block's projections; here each layer chooses among its own. It cannot be merged.";
    internal override bool FollowsTokens => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Experts, 4, 1, 256, "Number of LoRAs at each layer."),
        AdapterSetting.Whole(
            Chosen,
            2,
            1,
            TopKGates.MostChosen,
            "Number of LoRAs that a prompt gets; at most those there are."
        ),
        new(Balance, 0.01, 0, 1e3, "Factor of the loss that balances the load of a layer's LoRAs."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int experts, int rank) = ((int)layer.Setting(Experts), layer.Rank);
        Factor router = layer.Trained("milora_router", (experts, layer.In), Start.KaimingUniform);
        Factor b = layer.Trained("milora_B", (layer.Out, experts * rank), rate: layer.Options.LearningRateRatio);
        Factor a = layer.Trained("milora_A", (experts * rank, layer.In), Start.KaimingUniform);
        int chosen = Math.Min(experts, (int)layer.Setting(Chosen));
        return new AdapterForm
        {
            Change = new RoutedTerms(
                b,
                a,
                layer.Options.Scale,
                new PromptGates(router, chosen, layer.Setting(Balance))
            ),
        };
    }
}
