using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>Argument of the kernels in <c>matrix_copy.cu</c>.</summary>
[KernelArgs("matrix_copy", "matrix_copy_f32", "matrix_copy_bf16", "matrix_transpose_f32", "matrix_transpose_bf16")]
public struct MatrixCopyArgs
{
    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong X;

    /// <summary>Device address, as in the kernel's contract.</summary>
    public ulong Y;

    /// <summary>Shape of X.</summary>
    public int Rows;

    /// <summary>Shape of X.</summary>
    public int Columns;

    /// <summary>Factor of every element.</summary>
    public float Scale;
}

/// <summary>Copies of a matrix into F32 times a factor, as stored or transposed.</summary>
public static class MatrixCopy
{
    private const int Threads = 256;
    private const int PerThread = 4;

    /// <summary>y = scale · x.</summary>
    /// <param name="x">[m, n], F32 or BF16.</param>
    /// <param name="y">[m, n], F32.</param>
    /// <param name="scale">Factor.</param>
    public static void Run(Tensor x, Tensor y, float scale = 1)
    {
        Check.SameShape(x, nameof(x), y, nameof(y));
        Kernel kernel = Entry("matrix_copy_", x, y);
        if (x.Count > 0)
        {
            kernel.Launch(
                Args(x, y, scale),
                checked((int)((x.Count + Threads * PerThread - 1) / (Threads * PerThread))),
                Threads
            );
        }
    }

    /// <summary>y = scale · xᵀ.</summary>
    /// <param name="x">[m, n], F32 or BF16; fewer than 2³¹ elements.</param>
    /// <param name="y">[n, m], F32.</param>
    /// <param name="scale">Factor.</param>
    public static void Transpose(Tensor x, Tensor y, float scale = 1)
    {
        Check.Shape(x, nameof(x), -1, -1);
        Check.Shape(y, nameof(y), x.Dim(1), x.Dim(0));
        if (x.Count > int.MaxValue)
            throw new ArgumentException($"x is {x.Shape}, expected fewer than 2³¹ elements", nameof(x));
        Kernel kernel = Entry("matrix_transpose_", x, y);
        if (x.Count > 0)
            kernel.Launch(Args(x, y, scale), Launch.Blocks(x.Count, Threads), Threads);
    }

    /// <summary>y_b = x_bᵀ for each matrix of a batch.</summary>
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
        x.Device.Kernel("matrix_copy", "matrix_transpose_f32")
            .Launch(args, Launch.Blocks((long)rows * columns, Threads), x.Dim(0), 1, Threads);
    }

    private static Kernel Entry(string name, Tensor x, Tensor y)
    {
        Check.Shape(x, nameof(x), -1, -1);
        Check.Floating(x, nameof(x));
        Check.DType(y, nameof(y), DType.F32);
        Check.SameDevice(x.Device, y, nameof(y));
        return x.Device.Kernel("matrix_copy", name + x.DType.Suffix());
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
