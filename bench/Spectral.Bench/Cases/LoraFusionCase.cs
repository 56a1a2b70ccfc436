using Spectral.Bench.Baselines;
using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>
/// The layer that LoRAFusion's paper times: N = K, rank 16, dropout 0.1 on the adapter's input; forward, and forward
/// with backward. Eager is what a framework without fused kernels runs, operation by operation, with a mask per pass.
/// peers.py times PyTorch's own on the same shapes.
/// </summary>
internal sealed class LoraFusionCase : BenchCase
{
    private const double Probability = 0.1;

    public override string Name => "lorafusion";
    public override int Target => 5;
    public override string Description =>
        "LoRAFusion's setting: N = K, r = 16, dropout 0.1; ratio to plain is to eager here.";

    public override IEnumerable<Plan> Plans(Machine machine) =>
        from side in machine.Choose<int[]>([4096, 5120, 8192], [4096], [64], [512])
        from tokens in machine.Choose<int[]>([2048, 4096, 8192], [4096], [40], [512])
        from step in new[] { false, true }
        let shape = new LayerShape(tokens, side, side, machine.Choose(16, 16, 8, 16))
        select new Plan(
            $"{(step ? "step" : "forward")} {shape} "
                + $"dropout={Probability.ToString(System.Globalization.CultureInfo.InvariantCulture)}",
            () => Prepare(machine, shape, step)
        );

    private static Scenario Prepare(Machine machine, LayerShape shape, bool step)
    {
        var layer = new LowRankLayer(machine, shape, backward: true);
        Scenario scenario = layer.Scenario;
        StepState state = scenario.Own(new StepState(machine.Device));
        state.SeedDropout(seed: 1);
        var mask = new DropoutMask(state, Stream: 1, Probability);
        var eager = new EagerLayer(machine, layer, mask);
        Tensor[] outputs =
        [
            .. Enumerable
                .Range(0, scenario.Copies)
                .Select(_ => scenario.Own(Tensor.Empty(machine.Device, (shape.Tokens, shape.Outputs), DType.BF16))),
        ];
        double bytes = layer.PlainBytes * (step ? 2 : 1) + layer.UpdateBytes;
        double flops = layer.PlainFlops * (step ? 2 : 1) + layer.UpdateFlops * (step ? 3 : 1);
        Func<string?> Checked(Action<int> run) =>
            () =>
            {
                LowRankLayer.Copy first = layer[0];
                Machine.Poison(outputs[0], first.Z, first.Dx!, first.Gradients.Left!, first.Gradients.Right!);
                LowRankChoices.Try(machine.Device, () => run(0));
                return eager.Check(outputs[0], step);
            };

        void Eager(int copy)
        {
            eager.Forward(copy, outputs[copy]);
            if (step)
                eager.Backward(copy);
        }
        scenario.Variants.Add(
            new Variant("eager", Eager)
            {
                Role = Role.Plain,
                Bytes = bytes,
                Flops = flops,
                Check = Checked(Eager),
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
                    {
                        LowRankLayer.Copy c = layer[copy];
                        LowRankLinear.Forward(c.X, c.Weight, null, c.Factors, outputs[copy], c.Z, mask);
                        if (step)
                        {
                            LowRankLinear.Backward(
                                c.X,
                                c.Weight,
                                c.Factors,
                                c.Z,
                                c.Dy!,
                                c.Dx,
                                c.Gradients with
                                {
                                    Middle = null,
                                },
                                dropout: mask
                            );
                        }
                    }
                );
            scenario.Variants.Add(
                new Variant(name, Run)
                {
                    Role = role,
                    Bytes = bytes,
                    Flops = flops,
                    Check = Checked(Run),
                }
            );
        }
        LtBaselines.Add(scenario, () => machine.Lt, Role.A, Role.B);
        return scenario;
    }
}

/// <summary>
/// The layer operation by operation, as an eager framework's autograd runs it, and what every variant must agree with.
/// </summary>
internal sealed class EagerLayer
{
    private readonly LowRankLayer _layer;
    private readonly DropoutMask _mask;
    private readonly Tensor _dropped;
    private readonly Tensor _z;
    private readonly Tensor _update;
    private readonly Tensor _dUpdate;
    private readonly Tensor _g;
    private readonly Tensor _dDropped;
    private readonly Lazy<HostMatrix> _x;
    private readonly Lazy<HostMatrix> _weight;
    private readonly Lazy<HostMatrix> _left;
    private readonly Lazy<HostMatrix> _right;
    private readonly Lazy<HostMatrix> _dy;
    private readonly Lazy<HostMatrix> _kept;

    public EagerLayer(Machine machine, LowRankLayer layer, DropoutMask mask)
    {
        (_layer, _mask) = (layer, mask);
        (int m, int k, int n, int r) = (layer.Shape.Tokens, layer.Shape.Inputs, layer.Shape.Outputs, layer.Shape.Rank);
        Tensor Empty(int columns) => layer.Scenario.Own(Tensor.Empty(machine.Device, (m, columns), DType.BF16));
        (_dropped, _z, _update, _dUpdate, _g, _dDropped) = (Empty(k), Empty(r), Empty(n), Empty(n), Empty(r), Empty(k));
        LowRankLayer.Copy first = layer[0];
        (_x, _weight, _left) = (
            new(() => new HostMatrix(first.X)),
            new(() => new HostMatrix(first.Weight)),
            new(() => new HostMatrix(first.Factors.Left))
        );
        (_right, _dy) = (new(() => new HostMatrix(first.Factors.Right)), new(() => new HostMatrix(first.Dy!)));
        _kept = new(() =>
        {
            // Ones through the mask: what is kept, times 1 / (1 − p).
            using var ones = Tensor.From(machine.Device, [.. Enumerable.Repeat(1f, m * k)], (m, k), DType.F32);
            using var masked = Tensor.Empty(machine.Device, (m, k));
            Dropout.Run(ones, masked, mask);
            return new HostMatrix(masked);
        });
    }

    public void Forward(int copy, Tensor y)
    {
        LowRankLayer.Copy c = _layer[copy];
        Gemm.Run(c.X, Gemm.Transposed(c.Weight), y);
        Dropout.Run(c.X, _dropped, _mask);
        Gemm.Run(_dropped, Gemm.Transposed(c.Factors.Right), c.Z);
        Gemm.Run(c.Z, Gemm.Transposed(c.Factors.Left), _update);
        Scale.Run(_update, LowRankLayer.ScaleOfUpdate);
        Add.Forward(y, _update, y);
    }

    public void Backward(int copy)
    {
        LowRankLayer.Copy c = _layer[copy];
        Gemm.Run(c.Dy!, c.Weight, c.Dx!);
        _dUpdate.CopyFrom(c.Dy!); // the gradient of the scaling is a tensor of its own
        Scale.Run(_dUpdate, LowRankLayer.ScaleOfUpdate);
        Gemm.Run(Gemm.Transposed(_dUpdate), c.Z, c.Gradients.Left!);
        Gemm.Run(_dUpdate, c.Factors.Left, _g);
        Gemm.Run(Gemm.Transposed(_g), _dropped, c.Gradients.Right!);
        Gemm.Run(_g, c.Factors.Right, _dDropped);
        Dropout.Run(_dDropped, _dDropped, _mask);
        Add.Forward(c.Dx!, _dDropped, c.Dx!);
    }

    /// <summary>
    /// y, and with backward dx, of copy 0 in double through the mask as it is; dL and dR hang on the same z and g.
    /// </summary>
    public string? Check(Tensor y, bool backward)
    {
        const double s = LowRankLayer.ScaleOfUpdate;
        int rank = _layer.Shape.Rank;
        double Dropped(int row, int i)
        {
            double sum = 0;
            for (int k = 0; k < _layer.Shape.Inputs; k++)
                sum += _x.Value[row, k] * _kept.Value[row, k] * _right.Value[i, k];
            return sum;
        }
        string? forward = Bench.Check.Compare(
            y,
            "y",
            (row, column) =>
                _x.Value.DotRows(row, _weight.Value, column)
                + s * Enumerable.Range(0, rank).Sum(i => Dropped(row, i) * _left.Value[column, i])
        );
        if (forward is not null || !backward)
            return forward;
        string? dx = Bench.Check.Compare(
            _layer[0].Dx!,
            "dx",
            (row, column) =>
                _dy.Value.DotColumn(row, _weight.Value, column)
                + s
                    * _kept.Value[row, column]
                    * Enumerable
                        .Range(0, rank)
                        .Sum(i => _dy.Value.DotColumn(row, _left.Value, i) * _right.Value[i, column])
        );
        return Bench.Check.All(dx, _layer.CheckLeft(), CheckRight());
    }

    /// <summary>The first row of dR against s (dy L)ᵀ (mask ∘ x).</summary>
    private string? CheckRight()
    {
        double[] g = new double[_layer.Shape.Tokens];
        Parallel.For(0, g.Length, t => g[t] = _dy.Value.DotColumn(t, _left.Value, 0));
        return Bench.Check.Compare(
            _layer[0].Gradients.Right!,
            "dR",
            (_, column) =>
            {
                double sum = 0;
                for (int t = 0; t < g.Length; t++)
                    sum += g[t] * _x.Value[t, column] * _kept.Value[t, column];
                return LowRankLayer.ScaleOfUpdate * sum;
            },
            rows: [0]
        );
    }
}
