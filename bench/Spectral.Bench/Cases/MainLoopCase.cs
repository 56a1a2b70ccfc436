using Spectral.Bench.Baselines;
using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>
/// Our own two-source kernels alone, without the passes before them, beside the plain product by the BLAS library: what
/// the main loop is worth. The kernels' sums are longer by the rank, which is counted as work.
/// </summary>
internal sealed class MainLoopCase : BenchCase
{
    public override string Name => "main-loop";
    public override int Target => 6;
    public override string Description =>
        "Two-source product kernels without their passes, beside the plain product; forward and dx.";

    // Variants composed of library calls have no loop of their own. Of Hopper's tiles each runs at every size: small
    // sizes are counted to tell what large ones need.
    private static IEnumerable<LowRankLinearVariant> Kernels =>
        [new LowRankLinearPortable(), .. LowRankLinearHopper.Tiles.Select(columns => new LowRankLinearHopper(columns))];

    public override IEnumerable<Plan> Plans(Machine machine) =>
        from shape in LayerShape.Llama(machine, [8192, 4096], [16])
        from direction in new[] { LowRankDirection.Forward, LowRankDirection.InputGradient }
        select new Plan(
            $"{(direction == LowRankDirection.Forward ? "y" : "dx")} {shape}",
            () => Prepare(machine, shape, direction)
        );

    private static Scenario Prepare(Machine machine, LayerShape shape, LowRankDirection direction)
    {
        bool forward = direction == LowRankDirection.Forward;
        var layer = new LowRankLayer(machine, shape, backward: !forward);
        (int columns, int depth) = forward ? (shape.Outputs, shape.Inputs) : (shape.Inputs, shape.Outputs);
        var call = new LowRankCase(machine.Device, DType.BF16, direction, shape.Tokens, columns, depth, shape.Rank);
        var source = new Tensor[layer.Scenario.Copies];
        for (int i = 0; i < source.Length; i++)
        {
            source[i] = layer.Scenario.Own(Tensor.Empty(machine.Device, (shape.Tokens, shape.Rank), DType.BF16));
            if (forward)
                LowRank.Project(layer[i].X, layer[i].Factors.Right, source[i]);
            else
                Gemm.Run(layer[i].Dy!, layer[i].Factors.Left, source[i]);
            Scale.Run(source[i], LowRankLayer.ScaleOfUpdate);
        }
        Tensor Input(int copy) => forward ? layer[copy].X : layer[copy].Dy!;
        Tensor Result(int copy) => forward ? layer[copy].Y! : layer[copy].Dx!;
        string? CheckResult(bool update) => forward ? layer.CheckOutput(update) : layer.CheckInputGradient(update);
        Func<string?> Checked(Action<int> run, bool update) =>
            () =>
            {
                Machine.Poison(Result(0));
                run(0);
                return CheckResult(update);
            };

        void Plain(int copy) => Gemm.Run(Input(copy), new GemmMatrix(layer[copy].Weight, forward), Result(copy));
        layer.Scenario.Variants.Add(
            new Variant("plain", Plain)
            {
                Role = Role.Plain,
                Bytes = layer.PlainBytes,
                Flops = layer.PlainFlops,
                Check = Checked(Plain, update: false),
            }
        );
        foreach (LowRankLinearVariant kernel in Kernels)
        {
            if (kernel.Refuses(call) is { } refusal)
            {
                layer.Scenario.Variants.Add(Variant.Unavailable(kernel.Name, refusal));
                continue;
            }
            void Run(int copy) =>
                kernel.Run(
                    new LowRankProduct(
                        call,
                        Input(copy),
                        layer[copy].Weight,
                        source[copy],
                        1,
                        forward ? layer[copy].Factors.Left : layer[copy].Factors.Right,
                        null,
                        Result(copy),
                        Accumulate: false
                    )
                );
            layer.Scenario.Variants.Add(
                new Variant(kernel.Name, Run)
                {
                    Bytes = layer.PlainBytes + sizeof(ushort) * (double)shape.Rank * (shape.Tokens + columns),
                    Flops = layer.PlainFlops + 2.0 * shape.Tokens * columns * shape.Rank,
                    Check = Checked(Run, update: true),
                }
            );
        }
        LtBaselines.Add(layer.Scenario, () => machine.Lt, Role.Plain);
        return layer.Scenario;
    }
}
