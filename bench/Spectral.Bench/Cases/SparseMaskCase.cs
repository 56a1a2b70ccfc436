using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Optim;

namespace Spectral.Bench.Cases;

/// <summary>
/// The gradient of 1 % of a weight's entries beside that of the whole weight, and the memory of each trained entry.
/// </summary>
internal sealed class SparseMaskCase : BenchCase
{
    private const int OneIn = 100;

    public override string Name => "sparse-mask";
    public override int Target => 0;
    public override string Description =>
        "Gradient of 1 % of a weight's entries beside the whole, and bytes for each: place, value, two moments.";

    public override IEnumerable<Plan> Plans(Machine machine) =>
        LayerShape
            .Llama(machine, [2048], [1])
            .Select(shape => new Plan(
                $"{shape.Outputs} x {shape.Inputs} M={shape.Tokens}",
                () => Prepare(machine, shape)
            ));

    private static Scenario Prepare(Machine machine, LayerShape shape)
    {
        (int m, int n, int k) = (shape.Tokens, shape.Outputs, shape.Inputs);
        int count = n * k / OneIn;
        var scenario = new Scenario();
        Tensor dy = scenario.Own(machine.Normal((m, n), DType.BF16));
        Tensor x = scenario.Own(machine.Normal((m, k), DType.BF16));
        long before = machine.Device.Memory.InUse;
        Tensor index = scenario.Own(Tensor.Empty(machine.Device, count, DType.I32));
        ParameterSet values = scenario.Own(new ParameterSet(machine.Device, [("values", count)]));
        scenario.Own(new AdamWOptimizer(values, new AdamWOptions()));
        long taken = machine.Device.Memory.InUse - before - values.Gradients.Sum(gradient => gradient.Bytes);
        LargestEntries.Draw((n, k), index, seed: 1, stream: 1);
        Tensor sampled = values.Parameters[0].Gradient!;
        double read = sizeof(ushort) * (double)m * (n + k);
        scenario.Variants.Add(
            new Variant("sampled", _ => SampledProduct.Run(dy, x, index, sampled))
            {
                Bytes = read + 2.0 * sizeof(float) * count,
                Flops = 2.0 * count * m,
                Figures = _ => new Dictionary<string, double> { ["bytes_per_entry"] = (double)taken / count },
                Check = () =>
                {
                    Machine.Poison(sampled);
                    SampledProduct.Run(dy, x, index, sampled);
                    int[] places = index.ToInt32Array();
                    (HostMatrix gradients, HostMatrix inputs) = (new HostMatrix(dy), new HostMatrix(x));
                    return Check.Compare(
                        sampled,
                        "sampled",
                        (_, entry) =>
                            Enumerable
                                .Range(0, m)
                                .Sum(t => gradients[t, places[entry] / k] * inputs[t, places[entry] % k]),
                        DType.F32
                    );
                },
            }
        );
        Tensor whole = scenario.Own(Tensor.Empty(machine.Device, (n, k)));
        scenario.Variants.Add(
            new Variant("whole", _ => Gemm.Run(Gemm.Transposed(dy), x, whole))
            {
                Role = Role.Plain,
                Bytes = read + (double)sizeof(float) * n * k,
                Flops = 2.0 * m * n * k,
                Check = () =>
                {
                    Machine.Poison(whole);
                    Gemm.Run(Gemm.Transposed(dy), x, whole);
                    (HostMatrix gradients, HostMatrix inputs) = (new HostMatrix(dy), new HostMatrix(x));
                    return Check.Compare(
                        whole,
                        "whole",
                        (row, column) => Enumerable.Range(0, m).Sum(t => gradients[t, row] * inputs[t, column])
                    );
                },
            }
        );
        return scenario;
    }
}
