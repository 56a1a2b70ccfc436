using Spectral.Kernels.Quantization;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Describes the product of one layer of a <see cref="LowRankStack"/>, forward or for the gradient of its input. A
/// variant is chosen for every layer first; the products run when the low-rank sources of all layers are ready.
/// </summary>
/// <param name="direction">Which of the layer's products.</param>
/// <param name="activation">[M, in] x forward, [M, out] dy for the input gradient.</param>
/// <param name="layer">W [out, in]; its bias is added to the product, so none in the input gradient.</param>
/// <param name="factor">L [out, p] forward, R [p, in] for the input gradient.</param>
/// <param name="dropped">Whether dropout masks the x of the low-rank product.</param>
internal readonly struct LowRankLayerProduct(
    LowRankDirection direction,
    Tensor activation,
    LowRankLayer layer,
    Tensor factor,
    bool dropped = false
)
{
    private readonly LowRankCase _case = CaseOf(direction, activation, layer.Weight, factor, dropped);

    /// <summary>Whether the result has no columns, so that there is nothing to compute.</summary>
    public bool IsEmpty => _case.Columns == 0;

    /// <summary>Chooses a variant by what is forced, recorded or timed, or by rule.</summary>
    public LowRankLinearVariant Choose() =>
        LowRankLinear.Variants.Choose(
            _case,
            (call: _case, x: activation, weight: layer.Weight, factor),
            static state => new LowRankTrial(state.call, state.x, state.weight, state.factor)
        );

    /// <summary>Computes y (+)= activation · op(W) + scale · source · op(factor) + bias.</summary>
    /// <param name="variant">What <see cref="Choose"/> gave.</param>
    /// <param name="source">[M, p]: this layer's columns of z or g.</param>
    /// <param name="scale">Factor of the low-rank product.</param>
    /// <param name="y">[M, out] forward, [M, in] for the input gradient.</param>
    /// <param name="accumulate">Whether the result is added to what y holds.</param>
    public void Run(LowRankLinearVariant variant, ColumnRange source, float scale, Tensor y, bool accumulate)
    {
        using Tensor? own = variant.Reads(source) ? null : Tensor.Empty(y.Device, (source.Rows, source.Count), y.DType);
        if (own is not null)
            LowRankReduce.ScaleColumns(source, null, scale, own);
        variant.Run(
            new LowRankProduct(
                _case,
                activation,
                layer.Weight,
                own ?? source,
                own is null ? scale : 1,
                factor,
                layer.Bias,
                y,
                accumulate
            )
        );
    }

    private static LowRankCase CaseOf(
        LowRankDirection direction,
        Tensor activation,
        in FrozenWeight weight,
        Tensor factor,
        bool dropped
    )
    {
        (int outputs, int inputs) = (weight.Rows, weight.Columns);
        bool forward = direction == LowRankDirection.Forward;
        LowRankLayout layout = dropped ? LowRankLayout.Dropped : LowRankLayout.Apart;
        if (weight.Quantized is { } quantized)
        {
            layout = (FusedProduct.Takes(quantized), quantized.Layout.Format.Bits()) switch
            {
                (false, _) => LowRankLayout.Quantized,
                (true, HopperQuantizedProduct.Bits) => LowRankLayout.FourBitTiles,
                _ => LowRankLayout.QuantizedTiles,
            };
        }
        else if (weight.Dense.Stride != inputs)
        {
            layout = LowRankLayout.WideWeight;
        }

        return new LowRankCase(
            activation.Device,
            activation.DType,
            direction,
            activation.Dim(0),
            forward ? outputs : inputs,
            forward ? inputs : outputs,
            factor.Dim(forward ? 1 : 0),
            layout
        );
    }
}
