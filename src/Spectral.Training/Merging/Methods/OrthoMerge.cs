using System.Numerics.Tensors;
using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Merging.Methods;

internal sealed class OrthoMerge : OneModelMerge
{
    private const int RowsAtOnce = 512;

    public override string Name => "orthomerge";

    public override string Formula =>
        "Q_i = U Vᵀ of the SVD of W0ᵀ W_i, A_i = (Q_i + I)⁻¹ (Q_i − I); A = mean ‖A_i‖ · Σ A_i / ‖Σ A_i‖, "
        + "Q = (I − A)⁻¹ (I + A); W = W0 Q + mean(W_i − W0 Q_i); tensors that are no matrices: the mean";

    public override string Source =>
        "Yang, Shi, Liu, \"Orthogonal Model Merging\", 2026, the form G of its code, with full Procrustes problems";

    public override string Use =>
        "Merges the rotations that the inputs apply to each weight on the group of rotations, which keeps their angle, "
        + "and what no rotation explains as a mean. Where a weight has fewer rows than columns, the rotation nearest "
        + "to the identity is taken.";

    public override string? Cost =>
        "Takes an SVD of size inputs × inputs and an inverse for each weight and input, about 45 minutes a weight.";

    internal override TensorMerge Begin(MergeRun run) =>
        tensor =>
            tensor.Shape.Count == 2 ? Rotated(run, tensor) : (piece, result) => Means.Of(piece, run.Inputs, result);

    // W0 Q + mean(W_i − W0 Q_i) = mean W_i + W0 (Q − mean Q_i), so that rows can be merged apart.
    private static PieceMerge Rotated(MergeRun run, MergeTensor tensor)
    {
        int n = (int)tensor.Shape[1];
        HostMatrix skews = new(n, n);
        HostMatrix rotations = new(n, n);
        double angles = 0;
        for (int input = 0; input < run.Inputs; input++)
        {
            HostMatrix rotation = Rotations.Nearest(run.Device, Product(tensor, input));
            HostMatrix skew =
                Rotations.ToSkew(rotation)
                ?? throw new InputException(
                    $"tensor {tensor.Name}: input {input + 1} turns a direction of the base's weight round, which "
                        + "orthomerge cannot merge; expected inputs nearer to the base"
                );
            angles += Math.Sqrt(skew.SquaredNorm());
            (skews, rotations) = (skews.Plus(skew), rotations.Plus(rotation));
        }

        double norm = Math.Sqrt(skews.SquaredNorm());
        HostMatrix merged = new HostMatrix(n, n).Plus(skews, norm == 0 ? 0 : angles / run.Inputs / norm);
        HostMatrix turn = Rotations.FromSkew(merged).Plus(rotations, -1.0 / run.Inputs).Transposed();
        return (piece, result) =>
        {
            Means.Of(piece, run.Inputs, result);
            Rows(tensor, piece, n, turn, result);
        };
    }

    private static void Rows(MergeTensor tensor, MergePiece piece, int n, HostMatrix turn, Span<float> result)
    {
        long first = piece.Start / n;
        int count = (int)(((piece.Start + piece.Length + n - 1) / n) - first);
        float[] rows = new float[count * n];
        tensor.ReadBase(first * n, rows);
        double[] turned = HostMatrix.From(rows, count, n).TimesTransposed(turn).Values;
        int offset = (int)(piece.Start - (first * n));
        for (int i = 0; i < result.Length; i++)
            result[i] += (float)turned[offset + i];
    }

    /// <summary>Computes W0ᵀ W_i, [columns, columns].</summary>
    private static HostMatrix Product(MergeTensor tensor, int input)
    {
        (int rows, int n) = ((int)tensor.Shape[0], (int)tensor.Shape[1]);
        HostMatrix sum = new(n, n);
        for (int row = 0; row < rows; row += RowsAtOnce)
        {
            int count = Math.Min(RowsAtOnce, rows - row);
            float[] origin = new float[count * n];
            float[] tuned = new float[count * n];
            tensor.ReadBase((long)row * n, origin);
            tensor.ReadChange(input, (long)row * n, tuned);
            TensorPrimitives.Add(tuned, origin, tuned);
            HostMatrix left = HostMatrix.From(origin, count, n).Transposed();
            sum = sum.Plus(left.TimesTransposed(HostMatrix.From(tuned, count, n).Transposed()));
        }
        return sum;
    }
}
