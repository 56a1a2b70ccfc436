using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Kernels.Quantization;

namespace Spectral.Bench.Cases;

/// <summary>
/// An adapted linear layer, forward and the gradient of its input, on a plain weight and on quantised ones; and one row
/// times a weight, as in generation. F32 on the CPU device, BF16 on a GPU.
/// </summary>
internal sealed class QuantizedCase : BenchCase
{
    private const int Rank = 16;

    public override string Name => "quantized";
    public override int Target => 0;
    public override string Description => "A layer on a quantised weight beside a plain one, and one row of it.";

    public override IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. from side in machine.Choose<int[]>([512, 1024, 2048], [2048], [64])
            select new Plan($"{side}->{side} M=1024 r={Rank}", () => Layer(machine, side)),
            .. from side in machine.Choose<int[]>([4096], [4096], [64])
            select new Plan($"{side}->{side} M=1", () => Row(machine, side)),
        ];

    private static DType TypeOf(Machine machine) => machine.IsGpu ? DType.BF16 : DType.F32;

    private static Scenario Layer(Machine machine, int side)
    {
        int rows = machine.Choose(1024, 1024, 32);
        var scenario = new Scenario();
        Tensor Normal(int height, int width, float deviation) =>
            scenario.Own(machine.Normal((height, width), TypeOf(machine), deviation));
        Tensor x = Normal(rows, side, 1);
        Tensor y = Normal(rows, side, 1);
        Tensor dy = Normal(rows, side, 1);
        Tensor dx = Normal(rows, side, 1);
        Tensor z = Normal(rows, Rank, 1);
        var stack = new LowRankStack(new LowRankFactors(Normal(side, Rank, 0.25f), null, Normal(Rank, side, 0.05f)));
        double flops = 4.0 * rows * side * (side + 2 * Rank);
        foreach ((string name, FrozenWeight weight, HostMatrix values) in Weights(machine, scenario, side))
        {
            var layer = new Spectral.Kernels.Ops.LowRankLayer(weight, null);
            void Run(int copy)
            {
                stack.Forward(x, [layer], [y], z);
                stack.Backward(x, [layer], z, [dy], dx, [default]);
            }

            scenario.Variants.Add(
                new Variant(name, Run)
                {
                    Role = weight.Quantized is null ? Role.Plain : Role.Ours,
                    Flops = flops,
                    Check = () =>
                    {
                        Machine.Poison(y, dx);
                        Run(0);
                        (HostMatrix xs, HostMatrix left) = (new(x), new(stack.Members[0].Left));
                        HostMatrix right = new(stack.Members[0].Right);
                        return Check.Compare(
                            y,
                            "y",
                            (row, column) =>
                                xs.DotRows(row, values, column)
                                + Enumerable.Range(0, Rank).Sum(i => xs.DotRows(row, right, i) * left[column, i])
                        );
                    },
                }
            );
        }

        return scenario;
    }

    private static Scenario Row(Machine machine, int side)
    {
        var scenario = new Scenario();
        Tensor x = scenario.Own(machine.Normal((1, side), TypeOf(machine)));
        Tensor y = scenario.Own(machine.Normal((1, side), TypeOf(machine)));
        foreach ((string name, FrozenWeight weight, HostMatrix values) in Weights(machine, scenario, side))
        {
            QuantizedVariant?[] variants = weight.Quantized is null
                ? [null]
                : [QuantizedVariant.Panel, QuantizedVariant.Matvec];
            foreach (QuantizedVariant? variant in variants)
            {
                void Run(int copy)
                {
                    FrozenProduct.Force(machine.Device, variant);
                    FrozenProduct.Forward(x, weight, y);
                    FrozenProduct.Force(machine.Device, null);
                }

                scenario.Variants.Add(
                    new Variant(variant is null ? name : $"{name} {variant}".ToLowerInvariant(), Run)
                    {
                        Role = weight.Quantized is null ? Role.Plain : Role.Ours,
                        Flops = 2.0 * side * side,
                        Bytes = weight.Quantized?.Bytes ?? weight.Dense.Matrix.Bytes,
                        Check = () =>
                        {
                            Machine.Poison(y);
                            Run(0);
                            HostMatrix xs = new(x);
                            return Check.Compare(y, "y", (row, column) => xs.DotRows(row, values, column));
                        },
                    }
                );
            }
        }

        return scenario;
    }

    // A plain weight, and quantised ones with what they stand for.
    private static IEnumerable<(string Name, FrozenWeight Weight, HostMatrix Values)> Weights(
        Machine machine,
        Scenario scenario,
        int side
    )
    {
        Tensor plain = scenario.Own(machine.Normal((side, side), TypeOf(machine), 1 / MathF.Sqrt(side)));
        yield return ("plain", plain, new HostMatrix(plain));
        using Tensor wide = machine.Normal((side, side), DType.F32, 1 / MathF.Sqrt(side));
        foreach (WeightFormat format in new[] { WeightFormat.Nf4, WeightFormat.Int8, WeightFormat.Fp8 })
        {
            QuantizedMatrix matrix = scenario.Own(
                new QuantizedMatrix(machine.Device, side, side, QuantizedLayout.For(format))
            );
            matrix.Fill(0, wide);
            using var read = Tensor.Empty(machine.Device, (side, side), TypeOf(machine));
            matrix.Dequantize(0, read);
            yield return (format.Name(), matrix, new HostMatrix(read));
        }
    }
}
