using Spectral.Bench.Baselines;
using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>
/// The passes over the wide activations alone, by library calls and by our kernels, to be held against the copy rate.
/// </summary>
internal sealed class PassCase : BenchCase
{
    public override string Name => "passes";
    public override int Target => 7;
    public override string Description => "Skinny passes: z = x Rt; g = dy L with dL and dc; dR = gt x.";

    public override IEnumerable<Plan> Plans(Machine machine) =>
        // Rows decide how the passes are divided, so a count keeps their number.
        from shape in LayerShape.Llama(machine, [8192], [16, 48, 64], new LayerShape(8192, 512, 512, 16))
        where shape.Inputs <= shape.Outputs // the wide output makes dy the large operand, the square one x
        from pass in new (string Name, Func<Machine, LayerShape, Scenario> Prepare)[]
        {
            ("project", Project),
            ("output-gradients", OutputGradients),
            ("input-gradient", InputGradient),
        }
        select new Plan($"{pass.Name} {shape}", () => pass.Prepare(machine, shape));

    private static Scenario Project(Machine machine, LayerShape shape)
    {
        var layer = new LowRankLayer(machine, shape, backward: false);
        (double m, double k, double r) = (shape.Tokens, shape.Inputs, shape.Rank);
        Add(
            layer,
            copy => LowRank.Project(layer[copy].X, layer[copy].Factors.Right, layer[copy].Z),
            sizeof(ushort) * (m * k + r * k + m * r),
            2 * m * k * r,
            () => Machine.Poison(layer[0].Z),
            layer.CheckProjection
        );
        return layer.Scenario;
    }

    private static Scenario OutputGradients(Machine machine, LayerShape shape)
    {
        var layer = new LowRankLayer(machine, shape, backward: true);
        (double m, double n, double r) = (shape.Tokens, shape.Outputs, shape.Rank);
        Tensor g = layer.Scenario.Own(Tensor.Empty(machine.Device, (shape.Tokens, shape.Rank), DType.BF16));
        Add(
            layer,
            copy =>
                LowRank.OutputGradients(
                    layer[copy].Dy!,
                    layer[copy].Factors,
                    layer[copy].Z,
                    g,
                    null,
                    layer[copy].Gradients with
                    {
                        Right = null,
                    }
                ),
            sizeof(ushort) * (m * n + n * r + 2 * m * r) + sizeof(float) * (n * r + r),
            4 * m * n * r + 2 * m * r,
            () => Machine.Poison(g, layer[0].Gradients.Left!, layer[0].Gradients.Middle!),
            () => Check.All(layer.CheckLeft(), layer.CheckMiddle())
        );
        return layer.Scenario;
    }

    private static Scenario InputGradient(Machine machine, LayerShape shape)
    {
        var layer = new LowRankLayer(machine, shape, backward: true);
        (double m, double k, double r) = (shape.Tokens, shape.Inputs, shape.Rank);
        Tensor[] g =
        [
            .. Enumerable
                .Range(0, layer.Scenario.Copies)
                .Select(_ => layer.Scenario.Own(Tensor.Empty(machine.Device, (shape.Tokens, shape.Rank), DType.BF16))),
        ];
        for (int i = 0; i < g.Length; i++)
            Gemm.Run(layer[i].Dy!, layer[i].Factors.Left, g[i]);
        Add(
            layer,
            copy =>
                LowRank.InputGradient(
                    g[copy],
                    layer[copy].X,
                    [(layer[copy].Gradients.Right!, 0)],
                    LowRankLayer.ScaleOfUpdate
                ),
            sizeof(ushort) * (m * k + m * r) + sizeof(float) * r * k,
            2 * m * k * r,
            () => Machine.Poison(layer[0].Gradients.Right!),
            layer.CheckRight
        );
        return layer.Scenario;
    }

    private static void Add(
        LowRankLayer layer,
        Action<int> pass,
        double bytes,
        double flops,
        Action poison,
        Func<string?> check
    )
    {
        foreach (
            (LowRankPassKind kind, string name, Role role) in new[]
            {
                (LowRankPassKind.Blas, "blas", Role.Plain),
                (LowRankPassKind.Kernels, "kernels", Role.Ours),
            }
        )
        {
            void Run(int copy) => LowRankChoices.With(layer[copy].X.Device, null, kind, () => pass(copy));
            layer.Scenario.Variants.Add(
                new Variant(name, Run)
                {
                    Role = role,
                    Bytes = bytes,
                    Flops = flops,
                    Check = () =>
                    {
                        poison();
                        Run(0);
                        return check();
                    },
                }
            );
        }
        LtBaselines.Add(layer.Scenario, () => layer.Machine.Lt, Role.Plain);
    }
}
