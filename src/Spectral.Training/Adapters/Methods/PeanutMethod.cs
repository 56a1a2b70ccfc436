using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Adapters.Files;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// PEANuT: the right factor of a LoRA is what a small network with residuals makes of the weight's columns. The network
/// runs once per step, so that the change costs a token what LoRA does.
/// </summary>
internal sealed class PeanutMethod : AdapterMethod
{
    private const string Depth = "depth";
    private const string Scaling = "scaling";

    public override string Name => "peanut";
    public override string Formula =>
        "W + scaling·B·H, H = relu(A·W), then depth times relu(E_i·H), then relu(D_i·H) + the H before E_i, "
        + "latest first";
    public override string Source => "Zhong et al., 2024, arXiv 2410.01870";
    public override string Use =>
        "A change that depends on the weight itself. Costs a thin product with W per step. Of the activations, relu "
        + "is supported.";
    public override IReadOnlyList<PeftField>? PeftFields { get; } =
    [PeftField.Rank(32), PeftField.Is("act_fn", "relu")];

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        AdapterSetting.Whole(Depth, 0, 0, 64, "Number of pairs of inner layers [rank, rank].") with
        {
            PeftKey = Depth,
        },
        new(Scaling, 1, -1e9, 1e9, "Factor of the change.") { PeftKey = Scaling },
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        (int rank, int depth) = (layer.Rank, (int)layer.Setting(Depth));
        Expression hidden = layer
            .Trained("peanut_A.weight", (rank, layer.Out), Start.KaimingUniform)
            .MatMul(layer.Weight)
            .Max(0);
        Factor[] encoders = Inner(layer, "encoders", depth);
        Factor[] decoders = Inner(layer, "decoders", depth);
        Factor left = layer.Trained("peanut_B.weight", (layer.Out, rank));
        var residuals = new Stack<Expression>();
        foreach (Factor encoder in encoders)
        {
            residuals.Push(hidden);
            hidden = encoder.MatMul(hidden).Max(0);
        }

        foreach (Factor decoder in decoders)
            hidden = decoder.MatMul(hidden).Max(0).Add(residuals.Pop());
        return new AdapterForm { Terms = [new(left, hidden, layer.Setting(Scaling))] };
    }

    private static Factor[] Inner(AdapterBuilder layer, string kind, int depth) =>
        [
            .. Enumerable
                .Range(0, depth)
                .Select(i =>
                    layer.Trained($"peanut_{kind}.{i}.weight", (layer.Rank, layer.Rank), Start.KaimingUniform)
                ),
        ];
}
