using Spectral.Training.Settings;

namespace Spectral.Training.Objectives.Methods;

internal sealed class SimpoLoss : PairLossMethod
{
    private const string Gamma = "gamma";

    public override string Name => "simpo";

    public override string Formula => "−log σ(β(a⁺ − a⁻) − γ)";

    public override string Source => "Meng, Xia, Chen, \"SimPO\", 2024, arXiv 2405.14734";

    public override string Use =>
        "Needs no base to compare with, and does not favour long answers. Wants a smaller learning rate than others, "
        + "as nothing holds the model to the base. The reward of a side is βa.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Beta, 2, 1e-6, 1e6, "the factor of the mean log-probabilities"),
        new(
            Gamma,
            0.5,
            0,
            1e6,
            "the margin γ by which rewards should differ, which is not multiplied by β; where a ratio γ/β is given, it "
                + "is that times β"
        ),
    ];

    public override PairTerm Term(
        SequenceScore chosen,
        SequenceScore rejected,
        double divergence,
        Func<string, double> setting
    )
    {
        double beta = setting(Beta);
        double margin = beta * (chosen.Mean - rejected.Mean) - setting(Gamma);
        double slope = -beta * Logistic.Of(-margin);
        return new PairTerm(
            Logistic.NegativeLog(margin),
            slope / chosen.Tokens,
            -slope / rejected.Tokens,
            beta * chosen.Mean,
            beta * rejected.Mean
        );
    }
}
