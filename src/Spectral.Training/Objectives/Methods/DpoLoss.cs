using Spectral.Training.Settings;

namespace Spectral.Training.Objectives.Methods;

internal sealed class DpoLoss : PairLossMethod
{
    private const string Smoothing = "label-smoothing";

    public override string Name => "dpo";

    public override string Formula => "−log σ(β((S⁺ − R⁺) − (S⁻ − R⁻)))";

    public override string Source =>
        "Rafailov et al., \"Direct Preference Optimization\", 2023, arXiv 2305.18290; smoothed labels: Mitchell, \"A "
        + "note on DPO with noisy preferences\", 2023";

    public override string Use =>
        "The usual choice. Raises the chosen answer against the rejected one, and stays near the base. A step also "
        + "runs forward without the adapter. The reward of a side is β(S − R).";

    public override bool NeedsBase => true;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Beta, 0.1, 1e-6, 1e6, "how firmly the model is held to the base; smaller lets it go farther"),
        new(
            Smoothing,
            0,
            0,
            0.5,
            "the share ε of pairs whose sides may be exchanged: the loss is (1 − ε) times that of the pair plus ε "
                + "times that of the exchanged one"
        ),
    ];

    public override PairTerm Term(
        SequenceScore chosen,
        SequenceScore rejected,
        double divergence,
        Func<string, double> setting
    )
    {
        (double beta, double smoothing) = (setting(Beta), setting(Smoothing));
        double margin = beta * (chosen.Gain - rejected.Gain);
        double loss = (1 - smoothing) * Logistic.NegativeLog(margin) + smoothing * Logistic.NegativeLog(-margin);
        double slope = beta * (smoothing * Logistic.Of(margin) - (1 - smoothing) * Logistic.Of(-margin));
        return new PairTerm(loss, slope, -slope, beta * chosen.Gain, beta * rejected.Gain);
    }
}
