using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class RootMethod : OptimizerMethod
{
    private const string Momentum = "momentum";
    private const string Quantile = "quantile";
    private const string Coefficients = "coefficients";
    private const string Published = "published";
    private const string Fitted = "fitted";

    public override string Name => "root";

    public override string Formula =>
        "M ← μM + g; N = g + μM; ε = quantile q of ∣N∣; B = min(max(N, −ε), ε); X = NS₅(B/(‖B‖ + 1e-7)), NS as muon's "
        + "with (a, b, c) by shape; θ ← θ − ηωθ − η·0.2√max(rows, columns)·X";

    public override string Source =>
        "He et al., \"ROOT: Robust Orthogonalized Optimizer for Neural Network Training\", 2025, arXiv 2511.20626";

    public override string Use =>
        "Muon whose directions a few outliers among the gradients do not turn: what exceeds the quantile is cut off, "
        + "which the paper calls a soft threshold. The published coefficients are for matrices of 2048 by 2048, 3072, "
        + "8192 and 16384, and others have muon's. `fitted` chooses those that bring the singular values of a random "
        + "matrix of the shape nearest to 1, which is no part of the paper. Vectors and matrices with a single row or "
        + "column train with AdamW.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Momentum, 0.95, 0, 0.9999, "Share μ of the past steps that is left."),
        new(Quantile, 0.9, 0, 1, "Quantile q of the magnitudes at which they are cut off; 1: nothing is."),
        Setting.Choice(
            Coefficients,
            "Coefficients of the Newton-Schulz steps: published for four shapes, or fitted to each shape.",
            Published,
            Fitted
        ),
    ];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) =>
        (IsMatrix(shape) ? 4 : 8) * shape.Count;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        IReadOnlyList<Parameter> parameters = run.Parameters.Parameters;
        (float momentum, double quantile) = ((float)run.Setting(Momentum), run.Setting(Quantile));
        bool isFitted = run.Chose(Coefficients, Fitted);
        int[] matrices = [.. Enumerable.Range(0, parameters.Count).Where(i => IsMatrix(parameters[i].Shape))];
        List<Action> steps = [];
        foreach (ParameterBatch batch in ParameterBatch.Of(run.Parameters, matrices))
        {
            Shape shape = parameters[batch.Indices[0]].Shape;
            Tensor sums = run.PerBatch(Momentum, batch, shape);
            NewtonSchulz coefficients = isFitted ? NewtonSchulzFit.For(shape) : NewtonSchulzFit.Published(shape);
            float scale = 0.2f * MathF.Sqrt(Math.Max(shape[0], shape[1]));
            steps.Add(() =>
            {
                using var directions = Tensor.Empty(run.Device, sums.Shape);
                Muon.Accumulate(batch.Gradients, sums, momentum, directions, run.StepState);
                ClipQuantile.RunEach(directions, quantile);
                Muon.Orthogonalize(directions, coefficients);
                Muon.Apply(batch.Masters, directions, scale, run.StepState, batch.Rate);
            });
        }

        AdamWPart vectors = new(run, Enumerable.Range(0, parameters.Count).Except(matrices));
        return new OptimizerRule(() =>
        {
            foreach (Action step in steps)
                step();
            vectors.Update();
        });
    }
}
