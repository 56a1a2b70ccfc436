using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;
using Spectral.Training.Adapters.Tokens;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Lily: neighbouring layers share A, all layers of a kind share several B, and a router of each layer mixes these for
/// a whole record.
/// </summary>
internal sealed class LilyMethod : AdapterMethod
{
    private const string Stride = "stride";
    private const string Experts = "experts";
    private const string Scaling = "scaling";

    public override string Name => "lily";
    public override string Formula =>
        "y = W·x + scaling·Σ_e π_e·B_e·h, h = A·x, π the mean over the record of the softmax of R·h";
    public override string Source => "Zhong et al., 2024, arXiv 2407.09946";
    public override string Use =>
        "Layers that work together: all layers of a kind share the B_e. Gates are a mean over all tokens of a record, "
        + "later ones too; PEFT takes it over the batch, and a token that is generated has its own. It cannot be "
        + "merged.";
    internal override bool FollowsTokens => true;

    public override IReadOnlyList<PeftField>? PeftFields { get; } = [PeftField.Rank(32)];

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Stride, 1, 1, 1 << 16, "Number of neighbouring layers of a kind that share one A.") with
        {
            PeftKey = "stride_A",
        },
        AdapterSetting.Whole(Experts, 2, 2, TopKGates.MostChosen, "Number of B that the layers of a kind share.") with
        {
            PeftKey = "num_B",
        },
        new(Scaling, 1, 1e-6, 1e6, "Factor of the change.") { PeftKey = "scaling" },
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int experts, int rank) = ((int)layer.Setting(Experts), layer.Rank);
        string kind = $"{Kind(layer.Module)} {layer.Out} {layer.In}";
        int place = layer
            .AllModules.Where(module => Kind(module) == Kind(layer.Module))
            .Where(module => (module.Out, module.In) == (layer.Out, layer.In))
            .TakeWhile(module => module.Name != layer.Module.Name)
            .Count();
        int neighbours = place / (int)layer.Setting(Stride);
        Factor a = layer.OfGroup($"{kind} {neighbours}", "lily_A.weight", (rank, layer.In), Start.KaimingUniform);
        Factor b = layer.OfGroup(kind, "lily_B.weight", (experts * rank, layer.Out), Start.Zeros);
        Factor router = layer.Trained("lily_router.weight", (experts, rank), Start.KaimingUniform);
        return new AdapterForm
        {
            Change = new RoutedTerms(
                b.Transpose(),
                a.Tile(experts, 1),
                layer.Setting(Scaling),
                new RecordMeanGates(router.MatMul(a))
            )
            {
                TakesDropout = false, // PEFT's config has none
            },
        };
    }

    /// <summary>Returns the last part of a layer's name, which layers of a kind have in common.</summary>
    private static string Kind(ModuleShape module) => module.Name[(module.Name.LastIndexOf('.') + 1)..];
}
