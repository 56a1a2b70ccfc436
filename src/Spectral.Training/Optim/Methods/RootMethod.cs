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
        List<Action> steps = [];
        List<int> rest = [];
        for (int i = 0; i < parameters.Count; i++)
        {
            Parameter parameter = parameters[i];
            if (!IsMatrix(parameter.Shape))
            {
                rest.Add(i);
                continue;
            }

            Tensor sum = run.PerParameter(Momentum, parameter);
            float rate = (float)run.Parameters.RateOf(i);
            NewtonSchulz coefficients = isFitted
                ? NewtonSchulzFit.For(parameter.Shape)
                : NewtonSchulzFit.Published(parameter.Shape);
            float scale = 0.2f * MathF.Sqrt(Math.Max(parameter.Shape[0], parameter.Shape[1]));
            steps.Add(() =>
            {
                using var direction = Tensor.Empty(run.Device, parameter.Shape);
                Muon.Accumulate(parameter.Gradient!, sum, momentum, direction, run.StepState);
                ClipQuantile.Run(direction, quantile);
                Muon.Orthogonalize(direction, coefficients);
                Muon.Apply(parameter.Master, direction, scale, run.StepState, rate);
            });
        }

        AdamWPart vectors = new(run, rest);
        return new OptimizerRule(() =>
        {
            foreach (Action step in steps)
                step();
            vectors.Update();
        });
    }
}
