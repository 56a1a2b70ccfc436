using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Quantization;

/// <summary>
/// Multiplies with a quantised weight by panels: some rows or columns of it at a time are made plain numbers, in
/// scratch that stays in a cache, and go into a library product. Each panel has whole sums, so results round once.
/// </summary>
internal static class PanelProduct
{
    // Elements of a panel: 2 MB of F32 on the CPU device, 8 MB of BF16 in a GPU's L2.
    private const int CpuElements = 512 * 1024;
    private const int GpuElements = 4 * 1024 * 1024;

    // Panels begin where library products and vectors of codes do.
    private const int Granule = 64;

    /// <summary>Computes y = x Wᵀ + beta · y, some rows of W at a time.</summary>
    public static void Forward(in ColumnRange x, QuantizedMatrix weight, in ColumnRange y, float beta)
    {
        int height = Length(weight.Device, weight.Rows, weight.Columns);
        using var scratch = Tensor.Empty(weight.Device, (height, weight.Columns), x.Matrix.DType);
        for (int from = 0; from < weight.Rows; from += height)
        {
            int rows = Math.Min(height, weight.Rows - from);
            using Tensor panel = scratch.Rows(0, rows);
            weight.Dequantize(from, panel);
            Gemm.Run(
                x.Operand,
                ((ColumnRange)panel).Operand.Transpose(),
                (y with { From = y.From + from }).Operand,
                new GemmSize(x.Rows, rows, weight.Columns),
                1,
                beta
            );
        }
    }

    /// <summary>Computes dx = dy W + beta · dx, some columns of W at a time.</summary>
    public static void InputGradient(in ColumnRange dy, QuantizedMatrix weight, in ColumnRange dx, float beta)
    {
        int width = Length(weight.Device, weight.Columns, weight.Rows);
        using var scratch = Tensor.Empty(weight.Device, width * weight.Rows, dy.Matrix.DType);
        for (int from = 0; from < weight.Columns; from += width)
        {
            int columns = Math.Min(width, weight.Columns - from);
            using Tensor part = scratch.Rows(0, weight.Rows * columns);
            using Tensor panel = part.View((weight.Rows, columns));
            weight.Dequantize(0, from, panel);
            Gemm.Run(
                dy.Operand,
                ((ColumnRange)panel).Operand,
                (dx with { From = dx.From + from }).Operand,
                new GemmSize(dy.Rows, columns, weight.Rows),
                1,
                beta
            );
        }
    }

    // Rows or columns of a panel, of lines this long.
    private static int Length(Device device, int count, int lineLength)
    {
        int elements = device.Kind == DeviceKind.Cpu ? CpuElements : GpuElements;
        return Math.Min(count, Math.Max(Granule, elements / lineLength / Granule * Granule));
    }
}
