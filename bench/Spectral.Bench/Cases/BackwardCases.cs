using Spectral.Bench.Baselines;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>
/// dx, dL, dR and dc by every variant and over laid-out activations, beside dx = dy W alone and the sequences A and B
/// of library calls.
/// </summary>
internal class BackwardCase : BenchCase
{
    public override string Name => "backward";
    public override int Target => 2;
    public override string Description => "Adapted linear layer, backward: dx, dL, dR, dc.";

    protected virtual int[] Tokens => [8192, 4096, 16384];

    /// <summary>Frozen factors: dx and dc alone.</summary>
    protected virtual bool MiddleOnly => false;

    public override IEnumerable<Plan> Plans(Machine machine) =>
        LayerShape
            .Llama(machine, Tokens, [16, 64])
            .Select(shape => new Plan(shape.ToString(), () => Prepare(machine, shape, MiddleOnly)));

    private static Scenario Prepare(Machine machine, LayerShape shape, bool middleOnly)
    {
        var layer = new LowRankLayer(machine, shape, backward: true);
        List<Variant> variants = layer.Scenario.Variants;
        void Plain(int copy) => Gemm.Run(layer[copy].Dy!, layer[copy].Weight, layer[copy].Dx!);
        variants.Add(
            new Variant("plain", Plain)
            {
                Role = Role.Plain,
                Bytes = layer.PlainBytes,
                Flops = layer.PlainFlops,
                Check = () =>
                {
                    Machine.Poison(layer[0].Dx!);
                    Plain(0);
                    return layer.CheckInputGradient(update: false);
                },
            }
        );
        (int m, int k, int n, int r) = (shape.Tokens, shape.Inputs, shape.Outputs, shape.Rank);
        // dL and dR are two more products with r columns; dR reads x once more, which a fused kernel cannot avoid
        // either.
        double bytes =
            layer.PlainBytes
            + layer.UpdateBytes
            + (middleOnly ? 0 : sizeof(ushort) * (double)m * k + sizeof(float) * (double)r * (n + k));
        double flops = layer.PlainFlops + layer.UpdateFlops * (middleOnly ? 1 : 2) + 2.0 * m * r;
        Func<string?> Checked(Action<int> run) =>
            () =>
            {
                LowRankGradients gradients = layer[0].Gradients;
                Machine.Poison(layer[0].Dx!, gradients.Middle!, gradients.Left!, gradients.Right!);
                LowRankChoices.Try(machine.Device, () => run(0));
                return Check.All(
                    layer.CheckInputGradient(update: true),
                    layer.CheckMiddle(),
                    middleOnly ? null : layer.CheckLeft(),
                    middleOnly ? null : layer.CheckRight()
                );
            };
        foreach ((string name, Role role, LowRankVariant variant, LowRankPassKind passes) in LowRankChoices.All)
        {
            void Run(int copy) =>
                LowRankChoices.With(
                    machine.Device,
                    variant,
                    passes,
                    () =>
                    {
                        LowRankLayer.Copy c = layer[copy];
                        LowRankLinear.Backward(
                            middleOnly ? null : c.X,
                            c.Weight,
                            c.Factors,
                            c.Z,
                            c.Dy!,
                            c.Dx,
                            middleOnly ? new LowRankGradients(Middle: c.Gradients.Middle) : c.Gradients
                        );
                    }
                );
            variants.Add(
                new Variant(name, Run)
                {
                    Role = role,
                    Bytes = bytes,
                    Flops = flops,
                    Check = Checked(Run),
                }
            );
        }
        var augmented = new AugmentedLayer(layer, backward: true);
        void Augmented(int copy) => augmented.Backward(copy, middleOnly);
        variants.Add(
            new Variant(AugmentedLayer.Name, Augmented)
            {
                Bytes = bytes,
                Flops = flops,
                Check = Checked(Augmented),
            }
        );
        LtBaselines.Add(layer.Scenario, () => machine.Lt, Role.Plain, Role.A, Role.B);
        return layer.Scenario;
    }
}

/// <summary>Spectral rescaling: the factors are frozen singular vectors and only the middle vector trains.</summary>
internal sealed class RescaleBackwardCase : BackwardCase
{
    public override string Name => "rescale-backward";
    public override int Target => 3;
    public override string Description => "Spectral rescaling, backward with frozen factors: dx, dc.";

    protected override bool MiddleOnly => true;
}

/// <summary>The same where launches, not bytes, take the time.</summary>
internal sealed class SmallBackwardCase : BackwardCase
{
    public override string Name => "backward-small";
    public override int Target => 4;
    public override string Description => "Adapted linear layer, backward, few tokens.";

    protected override int[] Tokens => [256, 64, 1024];
}
