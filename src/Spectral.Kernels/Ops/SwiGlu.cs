using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Computes the gated unit <c>silu(gate) ∘ up</c>, <c>silu(g) = g / (1 + e⁻ᵍ)</c> (Shazeer 2020). All but dy may be
/// columns of wider matrices, as when one product computes gate and up side by side.
/// </summary>
public static class SwiGlu
{
    /// <summary>Computes <c>y = silu(gate) ∘ up</c>.</summary>
    /// <param name="gate">[N, F], F32 or BF16.</param>
    /// <param name="up">[N, F], type of the gate.</param>
    /// <param name="y">[N, F], type of the gate; may be one of the inputs.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(ColumnRange gate, ColumnRange up, ColumnRange y)
    {
        Check.Floating(gate);
        (int rows, int columns) = (gate.Rows, gate.Count);
        Check.Operand(up, gate, [rows, columns]);
        Check.Operand(y, gate, [rows, columns]);
        if (rows == 0 || columns == 0)
            return;
        DType type = gate.Matrix.DType;
        (long length, uint blocks, int grid) = Launch.FlatRows(
            type,
            rows,
            columns,
            gate.IsWhole && up.IsWhole && y.IsWhole
        );
        var args = new SwiGluForwardArgs
        {
            Gate = gate.Pointer,
            Up = up.Pointer,
            Y = y.Pointer,
            Columns = length,
            Blocks = blocks,
            GateStride = gate.Stride,
            UpStride = up.Stride,
            YStride = y.Stride,
        };
        SwiGluForwardArgs.Kernel.Launch(gate.Matrix.Device, type, args, grid);
    }

    /// <summary>Computes <c>dGate = dy ∘ up ∘ silu′(gate)</c> and <c>dUp = dy ∘ silu(gate)</c>.</summary>
    /// <param name="gate">As in forward.</param>
    /// <param name="up">As in forward.</param>
    /// <param name="dy">[N, F], type of the gate.</param>
    /// <param name="dGate">[N, F], type of the gate; may be any of the inputs.</param>
    /// <param name="dUp">[N, F], type of the gate; may be any of the inputs.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(ColumnRange gate, ColumnRange up, Tensor dy, ColumnRange dGate, ColumnRange dUp)
    {
        Check.Floating(gate);
        (int rows, int columns) = (gate.Rows, gate.Count);
        Check.Operand(up, gate, [rows, columns]);
        Check.Operand(dy, gate.Matrix, [rows, columns]);
        Check.Operand(dGate, gate, [rows, columns]);
        Check.Operand(dUp, gate, [rows, columns]);
        if (rows == 0 || columns == 0)
            return;
        (long length, uint blocks, int grid) = Launch.FlatRows(
            dy.DType,
            rows,
            columns,
            gate.IsWhole && up.IsWhole && dGate.IsWhole && dUp.IsWhole
        );
        var args = new SwiGluBackwardArgs
        {
            Gate = gate.Pointer,
            Up = up.Pointer,
            Dy = dy.Pointer,
            DGate = dGate.Pointer,
            DUp = dUp.Pointer,
            Columns = length,
            Blocks = blocks,
            GateStride = gate.Stride,
            UpStride = up.Stride,
            DGateStride = dGate.Stride,
            DUpStride = dUp.Stride,
        };
        SwiGluBackwardArgs.Kernel.Launch(dy.Device, dy.DType, args, grid);
    }
}
