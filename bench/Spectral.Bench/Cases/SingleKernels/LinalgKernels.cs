using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>Kernels of the SVD as it runs on a GPU: small problems in one block, passes by our kernels.</summary>
internal static class LinalgKernels
{
    private const int Side = 256;

    public static IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. new[] { 16, 64, 96 }.SelectMany(rank =>
                new[] { (Side, 2 * Side), (2 * Side, Side) }.Select(shape =>
                    KernelSet.Plan(
                        machine,
                        $"svd {shape.Item1} x {shape.Item2} k={rank}",
                        set => Decomposition(set, shape.Item1, shape.Item2, rank)
                    )
                )
            ),
            .. KernelSet.Plans(machine, "matrix 256 x 512", Matrices),
        ];

    private static void Decomposition(KernelSet set, int rows, int columns, int rank)
    {
        const int iterations = 1;
        const int oversample = 16;
        Tensor matrix = set.Own(SvdMatrices.Decaying(set.Machine, rows, columns));
        var options = new RandomizedSvdOptions
        {
            Oversample = oversample,
            PowerIterations = iterations,
            Where = SmallProblems.OneBlock,
        };
        double passes = 2 + 2 * iterations;
        set.Add(
            "one-block",
            passes * matrix.Bytes,
            passes * 2.0 * rows * columns * (rank + oversample),
            () => RandomizedSvd.Compute(matrix, rank, options).Dispose()
        );
    }

    private static void Matrices(KernelSet set, DType type)
    {
        (int rows, int columns) = (Side, 2 * Side);
        double count = (double)rows * columns;
        double size = type.Size();
        Tensor x = set.Normal((rows, columns), type);
        Tensor copy = set.Empty((rows, columns));
        Tensor transposed = set.Empty((columns, rows));
        set.Add("copy", (size + sizeof(float)) * count, count, () => MatrixCopy.Run(x, copy));
        set.Add("transpose", (size + sizeof(float)) * count, count, () => MatrixCopy.Transpose(x, transposed));
        set.Add("scan", size * count, 2 * count, () => MatrixScan.Run(x));
    }
}
