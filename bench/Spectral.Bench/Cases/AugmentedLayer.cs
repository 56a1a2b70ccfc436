using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Bench.Cases;

/// <summary>
/// The buffers of a layer once more, laid out for one product each way: what wrote x and dy would have written them
/// here, so that laying out is not part of the time. y, dx and the gradients are the layer's own.
/// </summary>
internal sealed class AugmentedLayer
{
    public const string Name = "augmented";

    private readonly LowRankLayer _layer;
    private readonly AugmentedWeight[] _weights;
    private readonly Tensor[] _x;
    private readonly Tensor[] _dy;

    public AugmentedLayer(LowRankLayer layer, bool backward)
    {
        _layer = layer;
        Scenario scenario = layer.Scenario;
        (_weights, _x, _dy) = (
            new AugmentedWeight[scenario.Copies],
            new Tensor[scenario.Copies],
            new Tensor[backward ? scenario.Copies : 0]
        );
        for (int i = 0; i < scenario.Copies; i++)
        {
            LowRankLayer.Copy c = layer[i];
            _weights[i] = scenario.Own(
                new AugmentedWeight(
                    [new Spectral.Kernels.Ops.LowRankLayer(c.Weight, null)],
                    scenario.Own(new LowRankStack(c.Factors))
                )
            );
            _x[i] = LaidOut(c.X, _weights[i].InputStride);
            if (!backward)
                continue;
            _dy[i] = LaidOut(c.Dy!, _weights[i].OutputStride);
            // As the forward pass leaves it: s z behind x.
            LowRank.Project(
                c.X,
                c.Factors.Right,
                null,
                null,
                c.Factors.Scale,
                new ColumnRange(_x[i], layer.Shape.Inputs, layer.Shape.Rank)
            );
        }
        Tensor LaidOut(Tensor dense, int stride)
        {
            Tensor wide = scenario.Own(Tensor.Empty(dense.Device, (dense.Dim(0), stride), dense.DType));
            CopyBlock.Run(dense, wide, 0, 0);
            return wide;
        }
    }

    public void Forward(int copy) =>
        LowRankChoices.With(
            _x[copy].Device,
            null,
            LowRankPassKind.Kernels,
            () => AugmentedLinear.Forward(_weights[copy], _x[copy], _layer[copy].Y!)
        );

    public void Backward(int copy, bool middleOnly) =>
        LowRankChoices.With(
            _x[copy].Device,
            null,
            LowRankPassKind.Kernels,
            () =>
            {
                LowRankLayer.Copy c = _layer[copy];
                AugmentedLinear.Backward(
                    _weights[copy],
                    middleOnly ? null : _x[copy],
                    c.Z,
                    _dy[copy],
                    c.Dx,
                    [middleOnly ? new LowRankGradients(Middle: c.Gradients.Middle) : c.Gradients]
                );
            }
        );
}
