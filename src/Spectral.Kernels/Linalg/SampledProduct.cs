using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Computes single entries of dyᵀ x without the others: the gradient of some entries of a weight. The product itself
/// never exists; transposed F32 copies of dy and x do during the call.
/// </summary>
public static class SampledProduct
{
    private const int Lanes = 8; // kEntryLanes in the kernel

    /// <summary>
    /// Computes <c>values[k] = scale · Σ_t dy[t, i] x[t, j]</c> with <c>index[k] = i·in + j</c>, and adds it to what
    /// the values hold if asked to. A place outside the product gives 0.
    /// </summary>
    /// <param name="dy">[N, out] F32 or BF16.</param>
    /// <param name="x">[N, in], type of dy; out·in below 2³¹.</param>
    /// <param name="index">[K] I32. Ascending places use the cache best.</param>
    /// <param name="values">[K] F32; written.</param>
    /// <param name="scale">Factor of the sums.</param>
    /// <param name="accumulate">Whether to add to the values.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor dy, Tensor x, Tensor index, Tensor values, float scale = 1, bool accumulate = false)
    {
        Check.Floating(dy, [-1, -1]);
        Check.Operand(x, dy, [dy.Dim(0), -1]);
        Check.Operand(index, dy, DType.I32, [-1]);
        Check.Operand(values, dy, DType.F32, [index.Dim(0)]);
        (int tokens, int rows, int columns) = (dy.Dim(0), dy.Dim(1), x.Dim(1));
        Entries.Places((rows, columns), nameof(index));
        if (values.Count == 0)
            return;
        using Tensor left = Transposed(dy);
        using Tensor right = Transposed(x);
        var args = new SampledProductArgs
        {
            Dy = left.Pointer,
            X = right.Pointer,
            Index = index.Pointer,
            Values = values.Pointer,
            Rows = rows,
            Columns = columns,
            Tokens = tokens,
            Count = index.Dim(0),
            Scale = scale,
            Accumulate = accumulate ? 1 : 0,
        };
        SampledProductArgs.Kernel.Launch(dy.Device, args, Launch.RowBlocks(args.Count, Lanes));
    }

    private static Tensor Transposed(Tensor x)
    {
        var y = Tensor.Empty(x.Device, (x.Dim(1), x.Dim(0)));
        MatrixCopy.Transpose(x, y);
        return y;
    }
}
