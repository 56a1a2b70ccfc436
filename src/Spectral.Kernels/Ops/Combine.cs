using Spectral.Kernels.Interop;

namespace Spectral.Kernels.Ops;

/// <summary>Adds tensors, each times a factor.</summary>
public static class Combine
{
    /// <summary>Computes <c>z = alpha · x + beta · y</c>. NaN propagates, also times 0.</summary>
    /// <param name="x">Any shape, F32.</param>
    /// <param name="alpha">Factor of x.</param>
    /// <param name="y">Shape of x, F32; null: <c>z = alpha · x</c>.</param>
    /// <param name="beta">Factor of y.</param>
    /// <param name="z">Shape of x, F32; written; may be x or y.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void Run(Tensor x, float alpha, Tensor? y, float beta, Tensor z) =>
        Run(x, alpha, y, beta, 0, 1, 1, z);

    /// <summary>
    /// Computes <c>z = alpha · x + gamma · I</c> for one matrix or each of a batch. I has ones where row and column
    /// agree, whether it is square or not.
    /// </summary>
    /// <param name="x">[m, n] or [b, m, n] F32.</param>
    /// <param name="alpha">Factor of x.</param>
    /// <param name="gamma">Factor of the identity.</param>
    /// <param name="z">Shape of x, F32; written; may be x.</param>
    /// <exception cref="ArgumentException">Shape, type or device does not fit.</exception>
    public static void AddIdentity(Tensor x, float alpha, float gamma, Tensor z)
    {
        int rank = x.Shape.Rank;
        if (rank < 2)
            throw new ArgumentException($"x is {x.Shape}, expected a matrix or a batch of matrices", nameof(x));
        Run(x, alpha, null, 0, gamma, x.Dim(rank - 2), x.Dim(rank - 1), z);
    }

    private static void Run(Tensor x, float alpha, Tensor? y, float beta, float gamma, int rows, int columns, Tensor z)
    {
        Check.Operand(x, DType.F32);
        Check.SameAs(z, x);
        if (y is not null)
            Check.SameAs(y, x);
        if (x.Count == 0)
            return;
        var args = new CombineArgs
        {
            X = x.Pointer,
            Y = y?.Pointer ?? 0,
            Z = z.Pointer,
            Count = x.Count,
            Rows = rows,
            Columns = columns,
            Alpha = alpha,
            Beta = beta,
            Gamma = gamma,
        };
        CombineArgs.Kernel.Launch(x.Device, args, Launch.FlatBlocks(x.Count, DType.F32));
    }
}
