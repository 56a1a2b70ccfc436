using Spectral.Training.Settings;

namespace Spectral.Training.Objectives.Methods;

internal sealed class OrpoLoss : PairLossMethod
{
    /// <summary>The mean log-probability nearest to 0 that F32 tells from it; at 0 the odds are infinite.</summary>
    private const double Largest = -1.0 / (1 << 24);

    public override string Name => "orpo";

    public override string Formula => "−a⁺ − β log σ(logit exp a⁺ − logit exp a⁻)";

    public override string Source => "Hong, Lee, Thorne, \"ORPO\", 2024, arXiv 2403.07691";

    public override string Use =>
        "Learns the chosen answers as cross-entropy does and turns from the rejected ones at the same time, so that it "
        + "can begin with a base that has not been tuned. The reward of a side is βa.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Beta, 0.1, 1e-6, 1e6, "the weight of the odds ratio (λ in the paper)")];

    public override PairTerm Term(
        SequenceScore chosen,
        SequenceScore rejected,
        double divergence,
        Func<string, double> setting
    )
    {
        double beta = setting(Beta);
        (double oddsOfChosen, double slopeOfChosen) = LogOdds(chosen.Mean);
        (double oddsOfRejected, double slopeOfRejected) = LogOdds(rejected.Mean);
        double margin = oddsOfChosen - oddsOfRejected;
        double slope = beta * Logistic.Of(-margin);
        return new PairTerm(
            -chosen.Mean + beta * Logistic.NegativeLog(margin),
            (-1 - slope * slopeOfChosen) / chosen.Tokens,
            slope * slopeOfRejected / rejected.Tokens,
            beta * chosen.Mean,
            beta * rejected.Mean
        );
    }

    /// <summary>Returns a − log(1 − eᵃ) and its derivative 1 / (1 − eᵃ).</summary>
    private static (double Value, double Slope) LogOdds(double a)
    {
        double mean = Math.Min(a, Largest);
        double rest = mean > -1e-3 ? -mean - mean * mean / 2 - mean * mean * mean / 6 : 1 - Math.Exp(mean);
        return (mean - Math.Log(rest), 1 / rest);
    }
}
