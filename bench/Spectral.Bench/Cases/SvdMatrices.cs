using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;

namespace Spectral.Bench.Cases;

/// <summary>Matrices for singular value decompositions, and the judgement of their results.</summary>
internal static class SvdMatrices
{
    private const int Directions = 96;
    private const float Noise = 0.02f;

    /// <summary>Random directions with values falling by 4 % each, and noise: [rows, columns] BF16.</summary>
    public static Tensor Decaying(Machine machine, int rows, int columns)
    {
        int directions = Math.Min(Directions, Math.Min(rows, columns) / 2);
        using Tensor left = machine.Normal((rows, directions), DType.F32, 1 / MathF.Sqrt(rows));
        using Tensor right = machine.Normal((directions, columns), DType.F32, 1 / MathF.Sqrt(columns));
        for (int i = 0; i < directions; i++)
        {
            using Tensor direction = right.Rows(i, 1);
            Scale.Run(direction, MathF.Sqrt((float)rows * columns) * MathF.Pow(0.96f, i));
        }
        using Tensor sum = machine.Normal((rows, columns), DType.F32, Noise);
        Gemm.Run(left, right, sum, 1, 1);
        var matrix = Tensor.Empty(machine.Device, (rows, columns), DType.BF16);
        Cast.Run(sum, matrix);
        return matrix;
    }

    /// <summary>
    /// Whether U diag(S) Vt is a truncated SVD of a: with orthonormal factors, the squares of residual and values add
    /// up to those of a. Null when it is; the residual is ‖a − U diag(S) Vt‖ / ‖a‖ in the Frobenius norm.
    /// </summary>
    /// <param name="a">[m, n] F32.</param>
    /// <param name="left">[m, k], or [k, m] with vectors as rows; F32.</param>
    /// <param name="leftAsRows">Which of the two.</param>
    /// <param name="values">k values.</param>
    /// <param name="right">[k, n] F32.</param>
    /// <param name="rest">[m, n] F32; overwritten.</param>
    /// <param name="residual">The relative residual.</param>
    public static string? Judge(
        Tensor a,
        Tensor left,
        bool leftAsRows,
        float[] values,
        Tensor right,
        Tensor rest,
        out double residual
    )
    {
        Device device = a.Device;
        int k = values.Length;
        using var diagonal = Tensor.From(
            device,
            [.. Enumerable.Range(0, k * k).Select(i => i / k == i % k ? values[i / k] : 0)],
            (k, k)
        );
        using var weighted = Tensor.Empty(device, (k, a.Dim(1)));
        Gemm.Run(diagonal, right, weighted);
        rest.CopyFrom(a);
        Gemm.Run(new GemmMatrix(left, leftAsRows), weighted, rest, -1, 1);
        double whole = Norm(a);
        double left2 = Norm(rest);
        double kept = Math.Sqrt(values.Sum(value => (double)value * value));
        residual = left2 / whole;
        double gap = Math.Abs(left2 * left2 + kept * kept - whole * whole) / (whole * whole);
        for (int i = 1; i < k; i++)
        {
            if (!(values[i] <= values[i - 1] * 1.0001f))
                return $"values do not descend at {i}: {values[i - 1]:G6}, {values[i]:G6}";
        }

        return gap <= 1e-3 && residual < 1
            ? null
            : $"relative residual {residual:G4}, squares of values and residual miss those of the matrix by {gap:G3}";
    }

    private static double Norm(Tensor x)
    {
        using var result = Tensor.Empty(x.Device, 1);
        GlobalNorm.Run([x], result);
        return result.ToArray()[0];
    }
}
