using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>
/// W + s L diag(c) R written to another weight: one read and one write of it. Rescaling merges the same way.
/// </summary>
internal sealed class MergeCase : BenchCase
{
    public override string Name => "merge";
    public override int Target => 9;
    public override string Description => "Merging (or rescaling) a weight: W + s L diag(c) R.";

    public override IEnumerable<Plan> Plans(Machine machine) =>
        LayerShape
            .Llama(machine, [1], [16, 64])
            .Select(shape => new Plan(
                $"{shape.Outputs} x {shape.Inputs} r={shape.Rank}",
                () => Prepare(machine, shape)
            ));

    private static Scenario Prepare(Machine machine, LayerShape shape)
    {
        (int n, int k, int r) = (shape.Outputs, shape.Inputs, shape.Rank);
        double bytes = 2.0 * sizeof(ushort) * n * k + sizeof(ushort) * (double)r * (n + k);
        var scenario = new Scenario { Copies = machine.CopiesFor(bytes) };
        Tensor middle = scenario.Own(machine.Normal(r, DType.F32));
        (Tensor Weight, LowRankFactors Factors, Tensor Merged)[] copies =
        [
            .. Enumerable
                .Range(0, scenario.Copies)
                .Select(_ =>
                    (
                        scenario.Own(machine.Normal((n, k), DType.BF16, 1 / MathF.Sqrt(k))),
                        new LowRankFactors(
                            scenario.Own(machine.Normal((n, r), DType.BF16)),
                            middle,
                            scenario.Own(machine.Normal((r, k), DType.BF16, 1 / MathF.Sqrt(k)))
                        ),
                        scenario.Own(Tensor.Empty(machine.Device, (n, k), DType.BF16))
                    )
                ),
        ];
        void Run(int copy) => LowRank.Merge(copies[copy].Weight, copies[copy].Factors, copies[copy].Merged);
        scenario.Variants.Add(
            new Variant("merge", Run)
            {
                Bytes = bytes,
                Flops = 2.0 * n * k * r,
                Check = () =>
                {
                    (Tensor weight, LowRankFactors factors, Tensor merged) = copies[0];
                    Machine.Poison(merged);
                    Run(0);
                    HostMatrix w = new(weight);
                    HostMatrix left = new(factors.Left);
                    HostMatrix right = new(factors.Right);
                    float[] c = middle.ToArray();
                    return Check.Compare(
                        merged,
                        "merged",
                        (row, column) =>
                            w[row, column] + Enumerable.Range(0, r).Sum(i => left[row, i] * c[i] * right[i, column])
                    );
                },
            }
        );
        return scenario;
    }
}
