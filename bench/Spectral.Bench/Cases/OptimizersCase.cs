using Spectral.Kernels;
using Spectral.Training.Optim;

namespace Spectral.Bench.Cases;

/// <summary>
/// A step of each optimizer beside AdamW's, on the factors of a LoRA: norm, clipping, update, clearing of the
/// gradients. Each step first gets the same gradients again, as zeros would let the state sink into slow
/// numbers.
/// </summary>
internal sealed class OptimizersCase : BenchCase
{
    private const int Rank = 16;
    private const int Layers = 4;
    private const int Samples = 15;

    public override string Name => "optimizers";
    public override int Target => 0;
    public override string Description =>
        "A step of each optimizer beside AdamW's, and its bytes of state a parameter.";

    public override IEnumerable<Plan> Plans(Machine machine) =>
        [new Plan($"{Layers} layers 2048 x 2048 rank {Rank}", () => Prepare(machine, 2048))];

    private static Scenario Prepare(Machine machine, int size)
    {
        var scenario = new Scenario();
        foreach (OptimizerMethod method in OptimizerMethods.All.Where(method => method.NeedsGradients))
        {
            ParameterSet parameters = scenario.Own(new ParameterSet(machine.Device, Factors(size)));
            parameters.Pairs =
            [
                .. parameters.Parameters.Chunk(2).Select(factors => new FactorPair(factors[0], factors[1], Scale: 1)),
            ];
            Optimizer optimizer = scenario.Own(method.Create(parameters, new AdamWOptions()));
            Tensor[] gradients =
            [
                .. parameters.Gradients.Select(gradient => scenario.Own(machine.Normal(gradient.Shape, DType.F32))),
            ];
            foreach (Tensor master in parameters.Masters)
            {
                using Tensor values = machine.Normal(master.Shape, DType.F32);
                master.CopyFrom(values);
            }

            optimizer.Configure(1e-3);
            scenario.Variants.Add(
                new Variant(method.Name, _ => Step(optimizer, gradients))
                {
                    Role = method.Name == OptimizerChoice.Default ? Role.Plain : Role.Ours,
                    LeastSamples = Samples,
                    Bytes = sizeof(float) * 3.0 * parameters.Count + optimizer.StateBytes,
                    Figures = _ => new Dictionary<string, double>
                    {
                        ["state_bytes_per_parameter"] = (double)optimizer.StateBytes / parameters.Count,
                    },
                    Check = () => Moves(optimizer, gradients),
                }
            );
        }

        return scenario;
    }

    private static IEnumerable<(string, Shape)> Factors(int size)
    {
        for (int layer = 0; layer < Layers; layer++)
        {
            yield return ($"{layer}.left", (size, Rank));
            yield return ($"{layer}.right", (Rank, size));
        }
    }

    private static void Step(Optimizer optimizer, Tensor[] gradients)
    {
        foreach ((Tensor gradient, Tensor values) in optimizer.Parameters.Gradients.Zip(gradients))
            gradient.CopyFrom(values);
        optimizer.Update();
    }

    /// <summary>Tests compare with formulas; here a step has to be made, downhill, with finite values.</summary>
    private static string? Moves(Optimizer optimizer, Tensor[] gradients)
    {
        IReadOnlyList<Tensor> masters = optimizer.Parameters.Masters;
        float[][] before = [.. masters.Select(master => master.ToArray())];
        Step(optimizer, gradients);
        double slope = 0;
        for (int i = 0; i < before.Length; i++)
        {
            (float[] after, float[] gradient) = (masters[i].ToArray(), gradients[i].ToArray());
            for (int j = 0; j < after.Length; j++)
                slope += ((double)after[j] - before[i][j]) * gradient[j];
        }

        return slope < 0 ? null : $"a step has the product {slope} with the gradient, expected less than 0";
    }
}
