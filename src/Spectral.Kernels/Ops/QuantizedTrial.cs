using Spectral.Kernels.Ops.Dispatch;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Runs one product with a quantised weight to time its variants, into a result of its own, since the real one may have
/// to be added to.
/// </summary>
internal sealed class QuantizedTrial : IVariantTrial<QuantizedProductVariant>
{
    private readonly QuantizedProduct _product;
    private readonly Tensor _y;

    public QuantizedTrial(in QuantizedProduct product)
    {
        QuantizedCase call = product.Case;
        _y = Tensor.Empty(call.Device, (call.Rows, call.Columns), call.Type);
        _product = product with { Y = _y, Accumulate = false };
    }

    public void Run(QuantizedProductVariant variant) => variant.Run(_product);

    public void Dispose() => _y.Dispose();
}
