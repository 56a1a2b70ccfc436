using Spectral.Kernels.Interop;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Copies a matrix into F32 times a factor, as stored or transposed.</summary>
public static class MatrixCopy
{
    private const int PerThread = 4;

    /// <summary>Computes y = scale · x.</summary>
    /// <param name="x">[m, n], F32 or BF16.</param>
    /// <param name="y">[m, n], F32.</param>
    /// <param name="scale">Factor of every element.</param>
    public static void Run(Tensor x, Tensor y, float scale = 1)
    {
        Check.Floating(x, [-1, -1]);
        Check.Operand(y, x, DType.F32, [x.Dim(0), x.Dim(1)]);
        if (x.Count == 0)
            return;
        int blocks = Launch.Blocks(x.Count, MatrixCopyArgs.Copy.Threads * PerThread);
        MatrixCopyArgs.Copy.Launch(x.Device, x.DType, Args(x, y, scale), blocks);
    }

    /// <summary>Computes y = scale · xᵀ.</summary>
    /// <param name="x">[m, n], F32 or BF16; fewer than 2³¹ elements.</param>
    /// <param name="y">[n, m], F32.</param>
    /// <param name="scale">Factor of every element.</param>
    public static void Transpose(Tensor x, Tensor y, float scale = 1)
    {
        Check.Floating(x, [-1, -1]);
        Check.Operand(y, x, DType.F32, [x.Dim(1), x.Dim(0)]);
        if (x.Count > int.MaxValue)
            throw new ArgumentException($"x is {x.Shape}, expected fewer than 2³¹ elements", nameof(x));
        if (x.Count == 0)
            return;
        int blocks = Launch.Blocks(x.Count, MatrixCopyArgs.Transpose.Threads);
        MatrixCopyArgs.Transpose.Launch(x.Device, x.DType, Args(x, y, scale), blocks);
    }

    /// <summary>Computes y_b = x_bᵀ for each matrix of a batch.</summary>
    /// <param name="x">[batch, m, n], F32.</param>
    /// <param name="y">[batch, n, m], F32.</param>
    internal static void TransposeEach(Tensor x, Tensor y)
    {
        int rows = x.Dim(1);
        int columns = x.Dim(2);
        var args = new MatrixCopyArgs
        {
            X = x.Pointer,
            Y = y.Pointer,
            Rows = rows,
            Columns = columns,
            Scale = 1,
        };
        Grid grid = (Launch.Blocks((long)rows * columns, MatrixCopyArgs.Transpose.Threads), x.Dim(0));
        Launch.Batch(MatrixCopyArgs.Transpose, x.Device, args, grid);
    }

    private static MatrixCopyArgs Args(Tensor x, Tensor y, float scale) =>
        new()
        {
            X = x.Pointer,
            Y = y.Pointer,
            Rows = x.Dim(0),
            Columns = x.Dim(1),
            Scale = scale,
        };
}
