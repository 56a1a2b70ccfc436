using Spectral.Training.Settings;

namespace Spectral.Training.Objectives.Methods;

internal sealed class KtoLoss : PairLossMethod
{
    private const string Desirable = "desirable-weight";
    private const string Undesirable = "undesirable-weight";

    public override string Name => "kto";

    public override string Formula => "½(1 − σ(β(S⁺ − R⁺ − KL))) + ½(1 − σ(β(KL − (S⁻ − R⁻))))";

    public override string Source => "Ethayarajh et al., \"KTO\", 2024, arXiv 2402.01306";

    public override string Use =>
        "Judges each side by itself, against what the model has gained over the base on answers that do not belong to "
        + "their prompts (KL). Those take a forward pass more, with and without the adapter. The reward of a side is "
        + "β(S − R).";

    public override bool NeedsBase => true;

    public override bool NeedsDivergence => true;

    public override bool TakesLabels => true;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Beta, 0.1, 1e-6, 1e6, "how firmly the model is held to the base; smaller lets it go farther"),
        new(Desirable, 1, 0, 1e6, "the factor of the chosen sides' losses"),
        new(Undesirable, 1, 0, 1e6, "the factor of the rejected sides' losses"),
    ];

    public override PairTerm Term(
        SequenceScore chosen,
        SequenceScore rejected,
        double divergence,
        Func<string, double> setting
    )
    {
        // A pair is two examples, over all of which the mean is taken.
        SideTerm good = Judge(chosen, true, divergence, setting);
        SideTerm bad = Judge(rejected, false, divergence, setting);
        return new PairTerm((good.Loss + bad.Loss) / 2, good.Slope / 2, bad.Slope / 2, good.Reward, bad.Reward);
    }

    public override SideTerm Judge(SequenceScore side, bool isGood, double divergence, Func<string, double> setting)
    {
        double beta = setting(Beta);
        (double weight, int sign) = isGood ? (setting(Desirable), 1) : (setting(Undesirable), -1);
        double miss = Logistic.Of(sign * beta * (divergence - side.Gain));
        return new SideTerm(weight * miss, -sign * beta * weight * miss * (1 - miss), beta * side.Gain, miss < 0.5);
    }
}
