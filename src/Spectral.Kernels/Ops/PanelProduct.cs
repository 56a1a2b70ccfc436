namespace Spectral.Kernels.Ops;

/// <summary>
/// Multiplies with a quantised weight by panels: some rows or columns of it at a time are made plain numbers, in
/// scratch that stays in a cache, and go into a library product. Each panel has whole sums, so results round once.
/// </summary>
internal sealed class PanelProduct : QuantizedProductVariant
{
    // Elements of a panel: 2 MB of F32 on the CPU device, 8 MB of BF16 in a GPU's L2.
    private const int CpuElements = 512 * 1024;
    private const int GpuElements = 4 * 1024 * 1024;

    // Panels begin where library products and vectors of codes do.
    private const int Granule = 64;

    public override QuantizedVariant Kind => QuantizedVariant.Panel;

    public override string Name => "panel";

    public override void Run(in QuantizedProduct product)
    {
        QuantizedCase call = product.Case;
        int width = Width(call.Device, call.Columns, call.Depth);
        using var scratch = Tensor.Empty(call.Device, (width, call.Depth), call.Type);
        for (int from = 0; from < call.Columns; from += width)
        {
            int columns = Math.Min(width, call.Columns - from);
            using Tensor part = scratch.Rows(0, columns);
            using Tensor panel = product.Transposed ? part.Share() : part.View((call.Depth, columns));
            product.Weight.Dequantize(product.Transposed ? from : 0, product.Transposed ? 0 : from, panel);
            Gemm.Run(
                product.X.Operand,
                ((ColumnRange)panel).Operand with
                {
                    Transposed = product.Transposed,
                },
                (product.Y with { From = product.Y.From + from }).Operand,
                new GemmSize(call.Rows, columns, call.Depth),
                1,
                product.Accumulate ? 1 : 0
            );
        }
    }

    /// <summary>Returns how many rows, or columns, of a given length a panel has.</summary>
    public static int Width(Device device, int count, int depth)
    {
        int elements = device.Kind == DeviceKind.Cpu ? CpuElements : GpuElements;
        return Math.Min(count, Math.Max(Granule, elements / depth / Granule * Granule));
    }
}
