using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Autograd;

/// <summary>
/// The same n rows before the S rows of each of B sequences: [B·S, F] seen as [B, S·F], which becomes [B, (n + S)·F].
/// </summary>
internal static class LeadingRows
{
    /// <summary>Returns the sequences behind the rows, [B·(n + S), F].</summary>
    /// <param name="rows">The rows [n, F], of the sequences' type; null: zeros.</param>
    /// <param name="count">The number of rows, n.</param>
    /// <param name="sequences">The sequences [B·S, F].</param>
    /// <param name="batch">The number of sequences, B.</param>
    public static Tensor Add(ColumnRange? rows, int count, ColumnRange sequences, int batch)
    {
        (Tensor like, int width) = (sequences.Matrix, sequences.Count);
        var all = Tensor.Empty(like.Device, (sequences.Rows + batch * count, width), like.DType);
        if (batch == 0)
            return all;
        using Tensor wide = Wide(all, batch);
        if (rows is not { } leading)
        {
            all.Clear();
        }
        else
        {
            // One row [n·F], read once for each sequence.
            using Tensor copy = leading.Copy();
            using Tensor one = copy.View((1, count * width));
            using var first = Tensor.Zeros(like.Device, batch, DType.I32);
            using var repeated = Tensor.Empty(like.Device, (batch, count * width), like.DType);
            Rows.Gather(one, first, repeated);
            CopyBlock.Run(repeated, wide, 0, 0);
        }
        using Tensor own = sequences.Copy();
        using Tensor from = Wide(own, batch);
        CopyBlock.Run(from, wide, 0, count * width);
        return all;
    }

    /// <summary>Returns the sequences without the rows, [B·S, F].</summary>
    /// <param name="all">The rows and sequences, [B·(n + S), F].</param>
    /// <param name="count">The number of rows, n.</param>
    /// <param name="batch">The number of sequences, B.</param>
    public static Tensor Remove(Tensor all, int count, int batch)
    {
        using Tensor wide = Wide(all, batch);
        int leading = count * all.Dim(1);
        return new ColumnRange(wide, leading, wide.Dim(1) - leading)
            .Copy()
            .Into((all.Dim(0) - batch * count, all.Dim(1)));
    }

    /// <summary>Returns the sums of the leading rows over the sequences, in their order, [n, F] F32.</summary>
    /// <inheritdoc cref="Remove"/>
    public static Tensor Sum(Tensor all, int count, int batch)
    {
        using Tensor wide = Wide(all, batch);
        using Tensor leading = new ColumnRange(wide, 0, count * all.Dim(1)).Copy();
        var sum = Tensor.Empty(all.Device, leading.Dim(1));
        BiasGradient.Run(leading, sum, accumulate: false);
        return sum.Into((count, all.Dim(1)));
    }

    private static Tensor Wide(Tensor rows, int batch) =>
        rows.View((batch, checked((int)(rows.Count / Math.Max(1, batch)))));

    /// <summary>Returns the same memory in another shape and gives up the handle.</summary>
    private static Tensor Into(this Tensor tensor, Shape shape)
    {
        using (tensor)
            return tensor.View(shape);
    }
}
