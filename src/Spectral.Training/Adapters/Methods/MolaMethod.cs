using Spectral.Training.Adapters.Building;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Tokens;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// MoLA: several LoRAs at each layer, of which a router gives each token the best two. Upper layers have more of them
/// than lower ones.
/// </summary>
internal sealed class MolaMethod : AdapterMethod
{
    private const string Router = "mola_router";
    private const string Most = "experts";
    private const string Least = "lowest-experts";
    private const string Chosen = "experts-per-token";
    private const string Balance = "balance";

    public override string Name => "mola";
    public override string Formula =>
        "y = W·x + (alpha/rank)·Σ_e π_e·B_e·A_e·x, π the softmax of the largest experts-per-token of R·x";
    public override string Source => "Gao et al., 2024, arXiv 2402.08562";
    public override string Use =>
        "A mixture of LoRAs that each token chooses from. The layers of the lowest quarter have lowest-experts of "
        + "them, those of the highest have experts, 2-4-6-8 unless set. It cannot be merged.";
    internal override bool FollowsTokens => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Most, 8, 1, 256, "Number of LoRAs at each layer of the highest quarter.") with
        {
            PeftPatternKey = "experts_pattern",
        },
        AdapterSetting.Whole(Least, 2, 1, 256, "Number of LoRAs at each layer of the lowest quarter.") with
        {
            PeftPatternKey = "lowest_experts_pattern",
        },
        AdapterSetting.Whole(
            Chosen,
            2,
            1,
            TopKGates.MostChosen,
            "Number of LoRAs that a token gets; at most those of its layer."
        ),
        new(Balance, 0.01, 0, 1e3, "Factor of the loss that balances the load of a layer's LoRAs."),
    ];

    /// <summary>Gives a layer the number of LoRAs of its quarter, which files have for each layer.</summary>
    public override AdapterOptions Fit(AdapterOptions options, ModuleShape module, IReadOnlyList<ModuleShape> all)
    {
        int layers = 1 + all.Max(other => LayerNumber.Of(other.Name) ?? 0);
        int quarter = 4 * (LayerNumber.Of(module.Name) ?? 0) / layers;
        double least = options.Setting(this, Least);
        double experts = Math.Round(least + ((options.Setting(this, Most) - least) * quarter / 3));
        return options.With(Most, experts).With(Least, experts);
    }

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int experts, int rank) = ((int)layer.Setting(Most), layer.Rank);
        Factor router = layer.Trained(Router, (experts, layer.In), Start.KaimingUniform);
        Factor b = layer.Trained("mola_B", (layer.Out, experts * rank), rate: layer.Options.LearningRateRatio);
        Factor a = layer.Trained("mola_A", (experts * rank, layer.In), Start.KaimingUniform);
        int chosen = Math.Min(experts, (int)layer.Setting(Chosen));
        return new AdapterForm
        {
            Change = new RoutedTerms(b, a, layer.Options.Scale, new TopKGates(router, chosen, layer.Setting(Balance))),
        };
    }
}
