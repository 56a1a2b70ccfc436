using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Brings rows that stand in the order of the experts back to their tokens: each token has k rows, whose places say
/// where they are.
/// </summary>
public static class ExpertRows
{
    /// <summary>Computes <c>y[n, :] = Σ_t weight[n, t] · rows[place[n, t], :]</c>, in order of t.</summary>
    /// <param name="rows">[N·k, D], F32 or BF16.</param>
    /// <param name="place">[N, k] I32, all different. A place outside of the rows makes its token's row NaN.</param>
    /// <param name="weight">[N, k] F32; null: 1.</param>
    /// <param name="y">[N, D], type of the rows; written. Must not overlap them.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Combine(Tensor rows, Tensor place, Tensor? weight, Tensor y)
    {
        Check.Floating(y, [-1, -1]);
        int k = VerifyPlaces(place, weight, y);
        Check.Operand(rows, y, [y.Dim(0) * k, y.Dim(1)]);
        if (y.Count == 0)
            return;
        var args = new ExpertRowsCombineArgs
        {
            Rows = rows.Pointer,
            Place = place.Pointer,
            Weight = weight?.Pointer ?? 0,
            Y = y.Pointer,
            Tokens = y.Dim(0),
            Columns = y.Dim(1),
            K = k,
        };
        ExpertRowsCombineArgs.Kernel.Launch(y.Device, y.DType, args, Launch.RowBlocks(args.Tokens));
    }

    /// <summary>
    /// Computes <c>dRows[place[n, t], :] = weight[n, t] · dy[n, :]</c> and
    /// <c>dWeight[n, t] = rows[place[n, t], :] · dy[n, :]</c>.
    /// </summary>
    /// <param name="dy">[N, D], F32 or BF16.</param>
    /// <param name="place">[N, k] I32, as in <see cref="Combine"/>.</param>
    /// <param name="weight">[N, k] F32, likewise.</param>
    /// <param name="rows">[N·k, D], likewise; null where <paramref name="dWeight"/> is.</param>
    /// <param name="dRows">[N·k, D], type of dy; written; null: not wanted.</param>
    /// <param name="dWeight">[N, k] F32; written; null: not wanted.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Backward(Tensor dy, Tensor place, Tensor weight, Tensor? rows, Tensor? dRows, Tensor? dWeight)
    {
        Check.Floating(dy, [-1, -1]);
        int k = VerifyPlaces(place, weight, dy);
        if (rows is null != dWeight is null)
        {
            throw new ArgumentException(
                "rows and dWeight: only one of them is given, expected both or none",
                nameof(rows)
            );
        }

        if (rows is not null)
            Check.Operand(rows, dy, [dy.Dim(0) * k, dy.Dim(1)]);
        if (dRows is not null)
            Check.Operand(dRows, dy, [dy.Dim(0) * k, dy.Dim(1)]);
        if (dWeight is not null)
            Check.Operand(dWeight, dy, DType.F32, [dy.Dim(0), k]);
        if (place.Count == 0 || (dRows is null && dWeight is null))
            return;
        var args = new ExpertRowsBackwardArgs
        {
            Dy = dy.Pointer,
            Place = place.Pointer,
            Weight = weight.Pointer,
            Rows = rows?.Pointer ?? 0,
            DRows = dRows?.Pointer ?? 0,
            DWeight = dWeight?.Pointer ?? 0,
            Tokens = dy.Dim(0),
            Columns = dy.Dim(1),
            K = k,
        };
        ExpertRowsBackwardArgs.Kernel.Launch(dy.Device, dy.DType, args, Launch.RowBlocks(place.Count));
    }

    private static int VerifyPlaces(Tensor place, Tensor? weight, Tensor like)
    {
        Check.Operand(place, like, DType.I32, [like.Dim(0), -1]);
        int k = place.Dim(1);
        if (weight is not null)
            Check.Operand(weight, like, DType.F32, [like.Dim(0), k]);
        return k;
    }
}
