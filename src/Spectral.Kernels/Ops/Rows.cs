using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Gathers rows of a matrix, and scatters them back.</summary>
public static class Rows
{
    /// <summary>Computes <c>y[k, :] = x[index[k], :]</c>. An index outside x gives a row of NaN.</summary>
    /// <param name="x">[N, D] F32 or BF16.</param>
    /// <param name="index">[K] I32.</param>
    /// <param name="y">[K, D], type of x; written. Must not overlap x.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Gather(Tensor x, Tensor index, Tensor y)
    {
        Verify(x, index, y);
        if (y.Count == 0)
            return;
        Run(RowsArgs.Gather, x, index, y, x.Dim(0));
    }

    /// <summary>
    /// Computes <c>x[index[k], :] = y[k, :]</c>; every other row of x becomes zero. An index outside x is skipped.
    /// </summary>
    /// <param name="y">[K, D] F32 or BF16.</param>
    /// <param name="index">[K] I32, distinct.</param>
    /// <param name="x">[N, D], type of y; written. Must not overlap y.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Scatter(Tensor y, Tensor index, Tensor x)
    {
        Verify(x, index, y);
        x.Clear();
        if (y.Count == 0 || x.Count == 0)
            return;
        Run(RowsArgs.Scatter, y, index, x, x.Dim(0));
    }

    private static void Verify(Tensor x, Tensor index, Tensor y)
    {
        Check.Floating(x, [-1, -1]);
        Check.Operand(index, x, DType.I32, [-1]);
        Check.Operand(y, x, [index.Dim(0), x.Dim(1)]);
    }

    private static void Run(KernelEntry<RowsArgs> move, Tensor source, Tensor index, Tensor destination, int rows)
    {
        var args = new RowsArgs
        {
            Source = source.Pointer,
            Index = index.Pointer,
            Destination = destination.Pointer,
            Rows = rows,
            Count = index.Dim(0),
            Columns = source.Dim(1),
        };
        move.Launch(source.Device, source.DType, args, Launch.RowBlocks(args.Count));
    }
}
