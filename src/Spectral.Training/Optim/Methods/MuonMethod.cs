using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class MuonMethod : OptimizerMethod
{
    private const string Momentum = "momentum";
    private const string Scale = "scale";
    private const string Rms = "rms";
    private const string Aspect = "aspect";

    public override string Name => "muon";

    public override string Formula =>
        "M ← μM + g; X = NS₅((g + μM)/(‖g + μM‖ + 1e-7)), NS: X ← aX + (bA + cA²)X, A = XXᵀ, (a, b, c) = (3.4445, "
        + "−4.7750, 2.0315); θ ← θ − ηωθ − η·0.2√max(rows, columns)·X";

    public override string Source =>
        "Jordan et al., \"Muon: An optimizer for hidden layers in neural networks\", 2024; the scale of Liu et al., "
        + "2025, arXiv 2502.16982";

    public override string Use =>
        "All directions of a matrix move alike, with half of AdamW's state. Each factor of an adapter is a matrix of "
        + "its own. Vectors and matrices with a single row or column train with AdamW. The scale is such that a step "
        + "is as large as AdamW's at the same rate; 15 matrix products a step come on top.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Momentum, 0.95, 0, 0.9999, "Share μ of the past steps that is left."),
        Setting.Choice(
            Scale,
            "Factor of a step: rms is 0.2 √max(rows, columns), aspect is √max(1, rows/columns).",
            Rms,
            Aspect
        ),
    ];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) =>
        (IsMatrix(shape) ? 4 : 8) * shape.Count;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        IReadOnlyList<Parameter> parameters = run.Parameters.Parameters;
        float momentum = (float)run.Setting(Momentum);
        bool isRms = run.Chose(Scale, Rms);
        int[] matrices = [.. Enumerable.Range(0, parameters.Count).Where(i => IsMatrix(parameters[i].Shape))];
        (ParameterBatch Batch, Tensor Sums)[] batches =
        [
            .. ParameterBatch
                .Of(run.Parameters, matrices)
                .Select(batch => (batch, run.PerBatch(Momentum, batch, parameters[batch.Indices[0]].Shape))),
        ];
        AdamWPart rest = new(run, Enumerable.Range(0, parameters.Count).Except(matrices));
        return new OptimizerRule(() =>
        {
            foreach ((ParameterBatch batch, Tensor sums) in batches)
            {
                float scale = ScaleOf(batch.Masters.Rows, batch.Masters.Columns, isRms);
                Muon.Step(batch.Masters, batch.Gradients, sums, momentum, scale, run.StepState, batch.Rate);
            }

            rest.Update();
        });
    }

    private static float ScaleOf(int rows, int columns, bool isRms) =>
        isRms ? 0.2f * MathF.Sqrt(Math.Max(rows, columns)) : MathF.Sqrt(MathF.Max(1, (float)rows / columns));
}
