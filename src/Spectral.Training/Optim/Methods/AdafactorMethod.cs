using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class AdafactorMethod : OptimizerMethod
{
    private const string Power = "decay-power";
    private const string Threshold = "clip-threshold";

    public override string Name => "adafactor";

    public override string Formula =>
        "β = 1 − t^−0.8; r ← βr + (1−β)(row means of g² + 1e-30), c likewise of the columns; U = g/√(r cᵀ/mean(r)); "
        + "θ ← θ − ηωθ − ηU/max(1, RMS(U)/d)";

    public override string Source =>
        "Shazeer, Stern, \"Adafactor: Adaptive Learning Rates with Sublinear Memory Cost\", 2018, arXiv 1804.04235; "
        + "without relative steps, parameter scaling and momentum";

    public override string Use =>
        "AdamW without momentum, with a number for each row and column of a matrix in place of one for each value. "
        + "Vectors, and matrices with a single row or column, keep second moments of their own.";

    public override OptimizerUses Uses => OptimizerUses.DecayAndClip;

    public override IReadOnlyList<Setting> Settings { get; } =
    [
        new(Power, 0.8, 0.01, 1, "Power p of β = 1 − t^−p: how fast the moments slow down."),
        new(Threshold, 1, 1e-6, 1e6, "Largest root mean square d of a step before the rate."),
    ];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) =>
        4 * (IsMatrix(shape) ? shape[0] + shape[1] : shape.Count);

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        (float power, float threshold) = ((float)run.Setting(Power), (float)run.Setting(Threshold));
        IReadOnlyList<Parameter> parameters = run.Parameters.Parameters;
        Tensor share = run.Scratch(1);
        List<Action> steps = [];
        ILookup<bool, int> isMatrix = Enumerable
            .Range(0, parameters.Count)
            .ToLookup(index => IsMatrix(parameters[index].Shape));
        foreach (ParameterBatch batch in ParameterBatch.Of(run.Parameters, isMatrix[true]))
        {
            Tensor rows = run.PerBatch("row_moment", batch, batch.Masters.Rows);
            Tensor columns = run.PerBatch("column_moment", batch, batch.Masters.Columns);
            steps.Add(() =>
                Adafactor.Step(
                    batch.Masters,
                    batch.Gradients,
                    rows,
                    columns,
                    share,
                    threshold,
                    run.StepState,
                    batch.Rate
                )
            );
        }

        foreach (int index in isMatrix[false])
        {
            Parameter parameter = parameters[index];
            Tensor second = run.PerParameter(AdamWOptimizer.Second, parameter);
            float rate = (float)run.Parameters.RateOf(index);
            steps.Add(() =>
                Adafactor.Step(parameter.Master, parameter.Gradient!, second, share, threshold, run.StepState, rate)
            );
        }

        return new OptimizerRule(() =>
        {
            Adafactor.Advance(share, power, run.StepState);
            foreach (Action step in steps)
                step();
        });
    }
}
