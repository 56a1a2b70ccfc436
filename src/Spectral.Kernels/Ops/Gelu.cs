using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes the Gaussian error linear unit (Hendrycks and Gimpel 2016), by itself or as the gate of a factor (Shazeer
/// 2020): <c>gelu(x) ∘ up</c>. All but dy may be columns of wider matrices.
/// </summary>
public static class Gelu
{
    /// <summary>Computes <c>y = gelu(x) ∘ up</c>.</summary>
    /// <param name="form">The formula of the unit.</param>
    /// <param name="x">[N, F], F32 or BF16.</param>
    /// <param name="up">[N, F], type of x; null: 1.</param>
    /// <param name="y">[N, F], type of x; may be one of the inputs.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(GeluForm form, ColumnRange x, ColumnRange? up, ColumnRange y)
    {
        Check.Floating(x);
        (int rows, int columns) = (x.Rows, x.Count);
        Check.Optional(up, x, [rows, columns]);
        Check.Operand(y, x, [rows, columns]);
        if (rows == 0 || columns == 0)
            return;
        DType type = x.Matrix.DType;
        (long length, uint blocks, int grid) = Launch.FlatRows(
            type,
            rows,
            columns,
            x.IsWhole && y.IsWhole && (up?.IsWhole ?? true)
        );
        var args = new GeluForwardArgs
        {
            X = x.Pointer,
            Up = up?.Pointer ?? 0,
            Y = y.Pointer,
            Columns = length,
            Blocks = blocks,
            XStride = x.Stride,
            UpStride = up?.Stride ?? 0,
            YStride = y.Stride,
            Exact = form == GeluForm.Exact ? 1 : 0,
        };
        GeluForwardArgs.Kernel.Launch(x.Matrix.Device, type, args, grid);
    }

    /// <summary>Computes <c>dx = dy ∘ up ∘ gelu′(x)</c> and <c>dUp = dy ∘ gelu(x)</c>.</summary>
    /// <param name="form">As in forward.</param>
    /// <param name="x">As in forward.</param>
    /// <param name="up">As in forward.</param>
    /// <param name="dy">[N, F], type of x.</param>
    /// <param name="dx">[N, F], type of x; may be any of the inputs.</param>
    /// <param name="dUp">[N, F], type of x; may be any of the inputs. Null where up is.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(
        GeluForm form,
        ColumnRange x,
        ColumnRange? up,
        Tensor dy,
        ColumnRange dx,
        ColumnRange? dUp
    )
    {
        Check.Floating(x);
        (int rows, int columns) = (x.Rows, x.Count);
        Check.Optional(up, x, [rows, columns]);
        Check.Operand(dy, x.Matrix, [rows, columns]);
        Check.Operand(dx, x, [rows, columns]);
        Check.Optional(dUp, x, [rows, columns]);
        if (up.HasValue != dUp.HasValue)
            throw new ArgumentException("one of up and dUp is null, expected both or neither", nameof(dUp));
        if (rows == 0 || columns == 0)
            return;
        (long length, uint blocks, int grid) = Launch.FlatRows(
            dy.DType,
            rows,
            columns,
            x.IsWhole && dx.IsWhole && (up?.IsWhole ?? true) && (dUp?.IsWhole ?? true)
        );
        var args = new GeluBackwardArgs
        {
            X = x.Pointer,
            Up = up?.Pointer ?? 0,
            Dy = dy.Pointer,
            Dx = dx.Pointer,
            DUp = dUp?.Pointer ?? 0,
            Columns = length,
            Blocks = blocks,
            XStride = x.Stride,
            UpStride = up?.Stride ?? 0,
            DxStride = dx.Stride,
            DUpStride = dUp?.Stride ?? 0,
            Exact = form == GeluForm.Exact ? 1 : 0,
        };
        GeluBackwardArgs.Kernel.Launch(dy.Device, dy.DType, args, grid);
    }
}
