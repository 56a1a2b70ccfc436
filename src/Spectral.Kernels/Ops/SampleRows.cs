using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Draws rows that stand for all rows of a matrix: <c>Σ_k x[i_k] · N/K</c> has the mean <c>Σ_n x[n]</c>.
/// </summary>
public static class SampleRows
{
    /// <summary>
    /// Draws one row from each of K strata of equal length. The draw depends on seed and micro-batch of the state and
    /// on the stream alone, so that a captured step draws anew when it is replayed.
    /// </summary>
    /// <param name="state">Holds seed and number of the micro-batch on the device.</param>
    /// <param name="stream">Number of the layer.</param>
    /// <param name="rows">N, the number of rows, at least 1.</param>
    /// <param name="index">[K] I32; written, ascending. With K = N, each row once.</param>
    /// <exception cref="ArgumentException">Type or device does not fit, or there are no rows.</exception>
    public static void Draw(StepState state, uint stream, int rows, Tensor index)
    {
        Check.Operand(index, DType.I32, [-1]);
        Check.SameDevice(state.Device, index, nameof(state));
        if (rows < 1)
            throw new ArgumentException($"rows is {rows}, expected 1 or more", nameof(rows));
        if (index.Count == 0)
            return;
        var args = new SampleRowsArgs
        {
            State = state.DropoutPointer,
            Index = index.Pointer,
            Stream = stream,
            Rows = rows,
            Count = index.Dim(0),
        };
        SampleRowsArgs.Kernel.Launch(index.Device, args, Launch.Blocks(args.Count, Launch.FlatThreads));
    }
}
