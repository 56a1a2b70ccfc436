using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Looks up token embeddings: a row of the table for each id.</summary>
public static class Embedding
{
    /// <summary>Computes <c>y[i, :] = table[ids[i], :]</c>. An id outside the table gives a row of NaN.</summary>
    /// <param name="table">[V, D] F32 or BF16.</param>
    /// <param name="ids">[N] I32.</param>
    /// <param name="y">[N, D], type of the table; written.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Forward(Tensor table, Tensor ids, Tensor y)
    {
        Check.Floating(table, [-1, -1]);
        Check.Operand(ids, table, DType.I32, [-1]);
        Check.Operand(y, table, [ids.Dim(0), table.Dim(1)]);
        Rows.Gather(table, ids, y);
    }

    /// <summary>
    /// Adds up the gradients of the rows of the table: <c>dTable[ids[u], :] (+)= Σ dy[order[j], :]</c> over
    /// <c>segments[u] ≤ j &lt; segments[u + 1]</c>. The order is fixed, since the caller has sorted the positions.
    /// Without <paramref name="accumulate"/> all other rows become zero.
    /// </summary>
    /// <param name="dy">[N, D] F32 or BF16.</param>
    /// <param name="order">[N] I32: positions sorted by id, equal ids in order of position.</param>
    /// <param name="segments">[U + 1] I32: where each id's positions begin in <paramref name="order"/>; ends with
    /// N.</param>
    /// <param name="ids">[U] I32: the ids that occur, each once.</param>
    /// <param name="dTable">[V, D] F32.</param>
    /// <param name="accumulate">Add to what it holds.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(Tensor dy, Tensor order, Tensor segments, Tensor ids, Tensor dTable, bool accumulate)
    {
        Check.Floating(dy, [-1, -1]);
        Check.Operand(order, dy, DType.I32, [dy.Dim(0)]);
        Check.Operand(ids, dy, DType.I32, [-1]);
        Check.Operand(segments, dy, DType.I32, [ids.Dim(0) + 1]);
        Check.Operand(dTable, dy, DType.F32, [-1, dy.Dim(1)]);
        if (!accumulate)
            dTable.Clear();
        if (ids.Count == 0 || dy.Count == 0)
            return;
        var args = new EmbeddingBackwardArgs
        {
            Dy = dy.Pointer,
            Order = order.Pointer,
            Segments = segments.Pointer,
            Ids = ids.Pointer,
            DTable = dTable.Pointer,
            Positions = dy.Dim(0),
            Unique = ids.Dim(0),
            Columns = dy.Dim(1),
            Vocabulary = dTable.Dim(0),
            Accumulate = accumulate ? 1 : 0,
        };
        EmbeddingBackwardArgs.Kernel.Launch(dy.Device, dy.DType, args, Launch.RowBlocks(args.Unique));
    }
}
