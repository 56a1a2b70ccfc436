using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Settings;

namespace Spectral.Training.Optim.Methods;

internal sealed class Muon8BitMethod : OptimizerMethod
{
    private const string Momentum = "momentum";

    public override string Name => "muon8bit";

    public override string Formula =>
        "Muon with M in 8 bits: in blocks of 2048, M ← round(127 M/max|M|)·max|M|/127 after the step; the scale is "
        + "0.2√max(rows, columns)";

    public override string Source =>
        "Gupta et al., \"Effective Quantization of Muon Optimizer States\", 2025, arXiv 2509.23106; linear codes";

    public override string Use =>
        "Muon in a quarter of its state. A momentum is off by at most 0.4 % of the largest in its block of 2048. "
        + "Vectors and matrices with a single row or column train with AdamW.";

    public override IReadOnlyList<Setting> Settings { get; } =
    [new(Momentum, 0.95, 0, 0.9999, "Share μ of the past steps that is left.")];

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) =>
        IsMatrix(shape)
            ? sizeof(int) * ((long)Muon8Bit.Words(shape.Count) + Muon8Bit.Blocks(shape.Count))
            : 8 * shape.Count;

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        IReadOnlyList<Parameter> parameters = run.Parameters.Parameters;
        float momentum = (float)run.Setting(Momentum);
        ILookup<bool, int> isMatrix = Enumerable
            .Range(0, parameters.Count)
            .ToLookup(i => IsMatrix(parameters[i].Shape));
        List<Action> steps = [];
        foreach (ParameterBatch batch in ParameterBatch.Of(run.Parameters, isMatrix[true]))
        {
            (int rows, int columns) = (batch.Masters.Rows, batch.Masters.Columns);
            long count = (long)rows * columns;
            Tensor codes = run.PerBatch($"{Momentum}_codes", batch, Muon8Bit.Words(count), DType.I32);
            Tensor most = run.PerBatch($"{Momentum}_most", batch, Muon8Bit.Blocks(count));
            float scale = 0.2f * MathF.Sqrt(Math.Max(rows, columns));
            steps.Add(() =>
                Muon8Bit.Step(batch.Masters, batch.Gradients, codes, most, momentum, scale, run.StepState, batch.Rate)
            );
        }

        AdamWPart rest = new(run, isMatrix[false]);
        return new OptimizerRule(() =>
        {
            foreach (Action step in steps)
                step();
            rest.Update();
        });
    }
}
