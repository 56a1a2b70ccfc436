using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Tokens;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// EPT, the expert pyramid: one projection to a subspace, and several ways back from it, each of which reads half as
/// many of its directions as the one before. A router gives each token the best of them.
/// </summary>
internal sealed class EptMethod : AdapterMethod
{
    private const string Experts = "experts";
    private const string Chosen = "experts-per-token";
    private const string Balance = "balance";

    public override string Name => "ept";
    public override string Formula =>
        "y = W·x + (alpha/rank)·Σ_e π_e·B_e·h[..r_e], h = A·x, r_e = rank/2^e, π the softmax of the largest "
        + "experts-per-token of R·x";
    public override string Source => "Expert Pyramid Tuning, 2025";
    public override bool IsPublishedForm => false;
    public override string Use =>
        "A mixture of experts of several sizes in one subspace: about twice LoRA’s numbers. It cannot be merged.";
    internal override bool FollowsTokens => true;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Experts, 4, 1, 16, "Number of experts; the last ones have at least one direction."),
        AdapterSetting.Whole(
            Chosen,
            2,
            1,
            TopKGates.MostChosen,
            "Number of experts that a token gets; at most those there are."
        ),
        new(Balance, 0.01, 0, 1e3, "Factor of the loss that balances the load of a layer's experts."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int experts, int rank) = ((int)layer.Setting(Experts), layer.Rank);
        int[] sizes = [.. Enumerable.Range(0, experts).Select(expert => Math.Max(1, rank >> expert))];
        Factor router = layer.Trained("ept_router", (experts, layer.In), Start.KaimingUniform);
        Factor a = layer.Trained("ept_A", (rank, layer.In), Start.KaimingUniform);
        Factor b = layer.Trained("ept_B", (layer.Out, sizes.Sum()), rate: layer.Options.LearningRateRatio);
        int chosen = Math.Min(experts, (int)layer.Setting(Chosen));
        return new AdapterForm
        {
            Change = new RoutedTerms(
                b.Gather((layer.Out, experts * rank), Places(layer.Out, sizes, rank)),
                a.Tile(experts, 1),
                layer.Options.Scale,
                new TopKGates(router, chosen, layer.Setting(Balance))
            ),
        };
    }

    /// <summary>Returns where the columns of each expert are in B, −1 where it reads no more directions.</summary>
    private static int[] Places(int rows, int[] sizes, int rank)
    {
        int width = sizes.Sum();
        int[] places = new int[rows * sizes.Length * rank];
        Array.Fill(places, -1);
        for (int row = 0; row < rows; row++)
        {
            int from = row * width;
            for (int expert = 0; expert < sizes.Length; expert++)
            {
                for (int i = 0; i < sizes[expert]; i++)
                    places[(((row * sizes.Length) + expert) * rank) + i] = from++;
            }
        }

        return places;
    }
}
