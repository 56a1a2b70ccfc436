using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Training.Adapters.Methods;

/// <summary>
/// Selective LoRA: a LoRA for each layer behind a gate that is open while a trained number exceeds a threshold. A
/// penalty closes the gates of layers that the task does not need, and files leave those layers out.
/// </summary>
internal sealed class TapsMethod : AdapterMethod
{
    private const string Strength = "taps_p";
    private const string Threshold = "gate-threshold";
    private const string Lambda = "lambda";
    private const string Begin = "begin";
    private const string Rate = "gate-rate";

    public override string Name => "taps";
    public override string Formula =>
        "W + (alpha/rank)·g·B·A, g = 1[p > gate-threshold] with the gradient of p, loss + lambda·Σ|p| over the layers";
    public override string Source =>
        "Wallingford et al., \"Task Adaptive Parameter Sharing for Multi-Task Learning\", 2022, arXiv 2203.16708, "
        + "whose gates stand before LoRA in Selective LoRA";
    public override string Use =>
        "Chooses the layers to adapt while it trains: layers whose gate is closed at the end are left out of the "
        + "files. While it is closed, a gate still receives its gradient and may open again. Costs as much as LoRA.";
    public override bool IsPublishedForm => false;

    public override IReadOnlyList<AdapterSetting> Settings { get; } =
    [
        new(Threshold, 0.1, 0, 1e6, "The p above which a gate is open; 0: no gates, p itself scales the adapter."),
        new(Lambda, 0.01, 0, 1e6, "Weight of the penalty |p|; larger values close more gates."),
        new(Begin, 0.5, 1e-6, 1e6, "The value at which each p begins."),
        new(Rate, 20, 1e-6, 1e6, "Learning rate of p, as a multiple of that of A."),
    ];

    public override AdapterForm Form(AdapterBuilder layer)
    {
        LowRankTerm term = LoraMethod.Term(layer, layer.Rank);
        Factor p = layer.Trained(Strength, (1, 1), Start.Of(layer.Setting(Begin)), layer.Setting(Rate));
        return new AdapterForm
        {
            Terms = [term with { Left = term.Left.Multiply(Gate(p, layer.Setting(Threshold)), Broadcast.Single) }],
            Penalty = p.Norm().Scale(layer.Setting(Lambda)),
        };
    }

    internal override bool IsClosed(AdaptedModule module) =>
        module.Options.Setting(this, Threshold) is > 0 and var threshold
        && !(module.Factors[Strength].Master.ToArray()[0] > (float)threshold);

    /// <summary>Returns 1[p > threshold], whose gradient goes to p unchanged; p itself for a threshold of 0.</summary>
    private static Expression Gate(Expression p, double threshold) =>
        threshold == 0 ? p : p.AddIdentity(-threshold).Sign().Max(0).StraightThrough(p);
}
