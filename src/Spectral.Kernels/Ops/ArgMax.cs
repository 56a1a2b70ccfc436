using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Finds the largest element of each row.</summary>
public static class ArgMax
{
    private const int MaxColumns = 1 << 24;

    /// <summary>
    /// Writes to <c>indices[n]</c> the lowest j at which <c>logits[n, j]</c> is largest; NaN counts as −∞.
    /// </summary>
    /// <param name="logits">[N, V] F32, V from 1 to 2²⁴.</param>
    /// <param name="indices">[N] I32; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor logits, Tensor indices)
    {
        Check.Operand(logits, DType.F32, [-1, -1]);
        Check.Operand(indices, logits, DType.I32, [logits.Dim(0)]);
        if (logits.Dim(1) is 0 or > MaxColumns)
        {
            throw new ArgumentException(
                $"logits is {logits.Shape}, expected 1 to {MaxColumns} columns",
                nameof(logits)
            );
        }

        if (logits.Dim(0) == 0)
            return;
        var args = new ArgMaxArgs
        {
            Logits = logits.Pointer,
            Indices = indices.Pointer,
            Rows = logits.Dim(0),
            Columns = logits.Dim(1),
        };
        ArgMaxArgs.Kernel.Launch(logits.Device, args, Launch.RowBlocks(args.Rows));
    }
}
