using Spectral.Kernels;
using Spectral.Kernels.Linalg;

namespace Spectral.Bench.Cases.SingleKernels;

/// <summary>Kernels of the SVD as it runs on a GPU: small problems in one block, passes by our kernels.</summary>
internal static class LinalgKernels
{
    private const int Side = 256;

    public static IEnumerable<Plan> Plans(Machine machine) =>
        [
            .. new[] { (Side, 2 * Side), (2 * Side, Side) }.Select(shape =>
                KernelSet.Plan(
                    machine,
                    $"svd {shape.Item1} x {shape.Item2} k=16",
                    set => Decomposition(set, shape.Item1, shape.Item2)
                )
            ),
            .. new[] { 32, 96, 160 }.Select(vectors =>
                KernelSet.Plan(machine, $"sketch 512 x 256 with {vectors}", set => Sketches(set, vectors))
            ),
            .. KernelSet.Plans(machine, "matrix 256 x 512", Matrices),
        ];

    private static void Decomposition(KernelSet set, int rows, int columns) =>
        OneBlockSvdCase.Add(set, rows, columns, rank: 16, iterations: 1);

    /// <summary>As many vectors as a tile of each size has.</summary>
    private static void Sketches(KernelSet set, int vectors)
    {
        (int rows, int columns) = (2 * Side, Side);
        Tensor matrix = set.Normal((rows, columns), DType.BF16);
        SketchSource source = set.Own(new SketchSource([matrix], vectors, kernels: true));
        source.Parts!.Clear();
        Tensor tall = set.Empty((vectors, rows));
        Tensor flat = set.Empty((vectors, columns));
        var along = new GemmOperand(flat, 0, columns, (long)vectors * columns);
        var across = new GemmOperand(tall, 0, rows, (long)vectors * rows);
        double Bytes(int depth, int other) =>
            matrix.Bytes + (double)vectors * (SketchPass.Parts * sizeof(ushort) * depth + sizeof(float) * other);
        double flops = 6.0 * rows * columns * vectors;
        set.Add("apply", Bytes(columns, rows), flops, () => source.Apply(along, across, vectors));
        set.Add("apply-transposed", Bytes(rows, columns), flops, () => source.ApplyTransposed(across, along, vectors));
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
