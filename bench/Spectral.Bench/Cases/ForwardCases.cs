using Spectral.Bench.Baselines;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>
/// y = x Wᵀ + s (x Rᵀ) Lᵀ by every variant and over laid-out activations, beside x Wᵀ alone and the sequences A and B
/// of library calls.
/// </summary>
internal class ForwardCase : BenchCase
{
    public override string Name => "forward";
    public override int Target => 1;
    public override string Description => "Adapted linear layer, forward, at training sizes.";

    protected virtual int[] Tokens => [8192, 4096, 16384];

    public override IEnumerable<Plan> Plans(Machine machine) =>
        LayerShape
            .Llama(machine, Tokens, [16, 64])
            .Select(shape => new Plan(shape.ToString(), () => Prepare(machine, shape)));

    private static Scenario Prepare(Machine machine, LayerShape shape)
    {
        var layer = new LowRankLayer(machine, shape, backward: false);
        List<Variant> variants = layer.Scenario.Variants;
        void Plain(int copy) => Gemm.Run(layer[copy].X, Gemm.Transposed(layer[copy].Weight), layer[copy].Y!);
        variants.Add(
            new Variant("plain", Plain)
            {
                Role = Role.Plain,
                Bytes = layer.PlainBytes,
                Flops = layer.PlainFlops,
                Check = () =>
                {
                    Machine.Poison(layer[0].Y!);
                    Plain(0);
                    return layer.CheckOutput(update: false);
                },
            }
        );
        foreach ((string name, Role role, LowRankVariant variant, LowRankPassKind passes) in LowRankChoices.All)
        {
            void Run(int copy) =>
                LowRankChoices.With(
                    machine.Device,
                    variant,
                    passes,
                    () =>
                        LowRankLinear.Forward(
                            layer[copy].X,
                            layer[copy].Weight,
                            null,
                            layer[copy].Factors,
                            layer[copy].Y!,
                            layer[copy].Z
                        )
                );
            variants.Add(
                new Variant(name, Run)
                {
                    Role = role,
                    Bytes = layer.PlainBytes + layer.UpdateBytes,
                    Flops = layer.PlainFlops + layer.UpdateFlops,
                    Check = () =>
                    {
                        Machine.Poison(layer[0].Y!, layer[0].Z);
                        LowRankChoices.Try(machine.Device, () => Run(0));
                        return Check.All(layer.CheckProjection(), layer.CheckOutput(update: true));
                    },
                }
            );
        }
        var augmented = new AugmentedLayer(layer, backward: false);
        variants.Add(
            new Variant(AugmentedLayer.Name, augmented.Forward)
            {
                Bytes = layer.PlainBytes + layer.UpdateBytes,
                Flops = layer.PlainFlops + layer.UpdateFlops,
                Check = () =>
                {
                    Machine.Poison(layer[0].Y!);
                    LowRankChoices.Try(machine.Device, () => augmented.Forward(0));
                    return layer.CheckOutput(update: true);
                },
            }
        );
        LtBaselines.Add(layer.Scenario, () => machine.Lt, Role.Plain, Role.A, Role.B);
        return layer.Scenario;
    }
}

/// <summary>The same where launches, not bytes, take the time.</summary>
internal sealed class SmallForwardCase : ForwardCase
{
    public override string Name => "forward-small";
    public override int Target => 4;
    public override string Description => "Adapted linear layer, forward, few tokens.";

    protected override int[] Tokens => [256, 64, 1024];
}
