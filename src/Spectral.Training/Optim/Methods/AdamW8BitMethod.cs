using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim.Methods;

internal sealed class AdamW8BitMethod : OptimizerMethod
{
    /// <summary>The size below which a tensor keeps moments in F32, as in bitsandbytes.</summary>
    private const long Smallest = 4096;

    public override string Name => "adamw8bit";

    public override string Formula =>
        "AdamW with m and v in 8 bits: in blocks of 256, x ← q·max|x|, q the dynamic code nearest to x/max|x|";

    public override string Source =>
        "Dettmers et al., \"8-bit Optimizers via Block-wise Quantization\", 2021, arXiv 2110.02861; codes, blocks and "
        + "rounding as in bitsandbytes";

    public override string Use =>
        "AdamW in a quarter of its state. A moment is off by at most 0.8 % of the largest in its block of 256 (m), or "
        + "0.4 % (v), and by less where it is smaller. Tensors with fewer than 4096 values keep moments in F32.";

    public override long StateBytes(Shape shape, IReadOnlyDictionary<string, double> settings) =>
        shape.Count < Smallest
            ? 8 * shape.Count
            : 2 * sizeof(int) * ((long)AdamW8Bit.Words(shape.Count) + AdamW8Bit.Blocks(shape.Count));

    internal override OptimizerRule Begin(OptimizerRun run)
    {
        IReadOnlyList<Parameter> parameters = run.Parameters.Parameters;
        ILookup<bool, int> isLarge = Enumerable
            .Range(0, parameters.Count)
            .ToLookup(i => parameters[i].Shape.Count >= Smallest);
        List<Action> steps = [];
        foreach (ParameterBatch batch in ParameterBatch.Of(run.Parameters, isLarge[true]))
        {
            (Tensor m, Tensor mMost) = Codes(run, AdamWOptimizer.First, batch);
            (Tensor v, Tensor vMost) = Codes(run, AdamWOptimizer.Second, batch);
            steps.Add(() =>
                AdamW8Bit.Step(batch.Masters, batch.Gradients, m, mMost, v, vMost, run.StepState, batch.Rate)
            );
        }

        AdamWPart small = new(run, isLarge[false]);
        return new OptimizerRule(() =>
        {
            foreach (Action step in steps)
                step();
            small.Update();
        });
    }

    private static (Tensor Codes, Tensor Most) Codes(OptimizerRun run, string name, ParameterBatch batch)
    {
        long count = (long)batch.Masters.Rows * batch.Masters.Columns;
        return (
            run.PerBatch($"{name}_codes", batch, AdamW8Bit.Words(count), DType.I32),
            run.PerBatch($"{name}_most", batch, AdamW8Bit.Blocks(count))
        );
    }
}
