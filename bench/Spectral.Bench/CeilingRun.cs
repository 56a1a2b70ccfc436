using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench;

/// <summary>The two ceilings of the device, timed like everything else and first in every run.</summary>
internal static class CeilingRun
{
    public static (Ceilings Ceilings, IReadOnlyList<Result> Results) Measure(Machine machine)
    {
        var runner = new Runner(machine, new Ceilings(double.PositiveInfinity, double.PositiveInfinity));
        Result copy = runner.Run("ceiling", 0, Copy(machine))[0];
        Result product = runner.Run("ceiling", 0, Product(machine))[0];
        foreach (Result result in new[] { copy, product })
        {
            if (result.Status != "ok")
            {
                throw new InvalidOperationException(
                    $"{result.Shape} {result.Variant}: {result.Note}; without its ceilings the device cannot be judged"
                );
            }
        }

        return (
            new Ceilings(1e9 * copy.GbPerS!.Value, 1e12 * product.Tflops!.Value),
            [
                copy with
                {
                    PercentOfCeiling = 100,
                    Bound = "memory",
                },
                product with
                {
                    PercentOfCeiling = 100,
                    Bound = "compute",
                },
            ]
        );
    }

    private static Plan Copy(Machine machine)
    {
        int side = machine.Choose(32768, 32768, 512);
        return new Plan(
            $"{2.0 * side * side * sizeof(ushort) / 1e9:G3} GB",
            () =>
            {
                var scenario = new Scenario();
                Tensor source = scenario.Own(machine.Normal((side, side), DType.BF16));
                Tensor destination = scenario.Own(Tensor.Empty(machine.Device, (side, side), DType.BF16));
                scenario.Variants.Add(
                    new Variant("copy", _ => destination.CopyFrom(source))
                    {
                        Bytes = 2.0 * source.Bytes,
                        Check = () =>
                        {
                            Machine.Poison(destination);
                            destination.CopyFrom(source);
                            var wanted = new HostMatrix(source);
                            return Check.Compare(destination, "copy", (row, column) => wanted[row, column]);
                        },
                    }
                );
                return scenario;
            }
        );
    }

    private static Plan Product(Machine machine)
    {
        int side = machine.Choose(8192, 8192, 128);
        return new Plan(
            $"{side} x {side} x {side}",
            () =>
            {
                var scenario = new Scenario();
                Tensor a = scenario.Own(machine.Normal((side, side), DType.BF16));
                Tensor b = scenario.Own(machine.Normal((side, side), DType.BF16));
                Tensor c = scenario.Own(Tensor.Empty(machine.Device, (side, side), DType.BF16));
                scenario.Variants.Add(
                    new Variant("product", _ => Gemm.Run(a, Gemm.Transposed(b), c))
                    {
                        Flops = 2.0 * side * side * side,
                        Bytes = 3.0 * a.Bytes,
                        Check = () =>
                        {
                            Machine.Poison(c);
                            Gemm.Run(a, Gemm.Transposed(b), c);
                            HostMatrix left = new(a);
                            HostMatrix right = new(b);
                            return Check.Compare(c, "product", (row, column) => left.DotRows(row, right, column));
                        },
                    }
                );
                return scenario;
            }
        );
    }
}
