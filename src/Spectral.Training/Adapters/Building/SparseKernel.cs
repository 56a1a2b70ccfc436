using Spectral.Kernels;
using Spectral.Kernels.Linalg;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.IO;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Building;

/// <summary>
/// Builds the matrix of distances between the rows of two factors, and makes it sparse by a threshold that its largest
/// entries pass (Shen et al., 2024, arXiv 2411.01800). A change of full rank thus costs the parameters of a LoRA.
/// </summary>
internal static class SparseKernel
{
    /// <summary>The names of the factors [out, r] and [in, r] and of the threshold [1] in files.</summary>
    public const string Left = "snell_B";
    public const string Right = "snell_A";
    public const string Threshold = "snell_threshold";

    // Distances below this count as equal to it and have no gradient, which would be infinite at zero.
    private const double SmallestSquare = 1e-12;

    /// <summary>Declares the number of heads.</summary>
    public static AdapterSetting Heads { get; } =
        AdapterSetting.Whole(
            "heads",
            2,
            1,
            1024,
            "Number of distances, each of its own columns, which are added with alternating signs; at most the rank."
        );

    /// <summary>Declares the factor of the distances.</summary>
    public static AdapterSetting Scale { get; } = new("scale", 0.1, 1e-6, 1e6, "Factor of the distances.");

    /// <summary>Declares the share of entries that stay zero.</summary>
    public static AdapterSetting Sparsity { get; } =
        new("sparsity", 0.9, 0, 0.9999999, "Share of the entries of the change that stay zero.");

    /// <summary>
    /// Declares the factors, which begin as the authors' do: uniform in ±1/√(features · columns of a head).
    /// </summary>
    /// <exception cref="InputException">The rank is below the number of heads.</exception>
    public static (Factor Left, Factor Right) Declare(AdapterBuilder layer)
    {
        (int rank, int heads) = (layer.Rank, (int)layer.Setting(Heads.Name));
        if (rank < heads)
        {
            throw new InputException(
                $"{Heads.Name} {heads} for {layer.Module.Name}: expected at most its rank, {rank}"
            );
        }

        double width = (double)rank / heads;
        return (
            layer.Trained(Left, (layer.Out, rank), Start.Uniform(1 / Math.Sqrt(layer.Out * width))),
            layer.Trained(Right, (layer.In, rank), Start.Uniform(1 / Math.Sqrt(layer.In * width)))
        );
    }

    /// <summary>
    /// Returns Σ_h ±scale·‖b_i − a_j‖ [out, in], b_i and a_j the rows of the columns that belong to head h.
    /// </summary>
    /// <param name="left">The factor b [out, r].</param>
    /// <param name="right">The factor a [in, r].</param>
    /// <param name="heads">The number of heads.</param>
    /// <param name="scale">The factor of all distances.</param>
    public static Expression Distances(Factor left, Factor right, int heads, double scale)
    {
        int rank = left.Shape[1];
        Expression? sum = null;
        for (int head = 0; head < heads; head++)
        {
            (int first, int end) = (head * rank / heads, (head + 1) * rank / heads);
            Expression distance = Distance(Part(left), Part(right), Ones(left), Ones(right));
            double sign = head % 2 == 0 ? scale : -scale;
            sum = sum?.Add(distance, 1, sign) ?? distance.Scale(sign);

            Expression Part(Factor factor) => factor.Block(0, first, factor.Shape[0], end - first);
        }

        return sum!;
    }

    /// <summary>Returns x with each entry moved towards zero by the threshold, and not beyond zero.</summary>
    /// <param name="x">A matrix [out, in].</param>
    /// <param name="threshold">The threshold [1], not negative.</param>
    /// <param name="left">A factor with as many rows as x.</param>
    /// <param name="right">A factor with as many rows as x has columns.</param>
    public static Expression Soft(Expression x, Factor threshold, Factor left, Factor right)
    {
        Expression everywhere = Ones(left).Multiply(threshold, Broadcast.Single).MatMul(Ones(right), transposeB: true);
        return x.Subtract(everywhere).Max(0).Subtract(x.Add(everywhere, -1, -1).Max(0));
    }

    /// <summary>
    /// Sets a layer's threshold so that so many entries of a matrix pass it. Waits for the device.
    /// </summary>
    /// <param name="factors">The layer's factors.</param>
    /// <param name="matrix">Builds the matrix from factors that are found by name.</param>
    /// <param name="count">The number of entries that pass.</param>
    public static void Adjust(
        IReadOnlyDictionary<string, Parameter> factors,
        Func<Func<string, Factor>, Expression> matrix,
        long count
    )
    {
        Parameter threshold = factors[Threshold];
        Expression x = matrix(name =>
        {
            Parameter values = factors[name];
            return new Factor(name, values.Shape, trains: false, Start.Zeros) { Parameter = values };
        });
        if (count >= x.Shape.Count)
        {
            threshold.Master.Clear();
            return;
        }

        var graph = new ExpressionGraph([x], 0);
        try
        {
            // The largest of what is left without the entries that pass.
            using var rest = Tensor.Empty(threshold.Master.Device, x.Shape);
            rest.CopyFrom(x.Value);
            using var places = Tensor.Empty(rest.Device, checked((int)count), DType.I32);
            using var values = Tensor.Empty(rest.Device, places.Shape);
            LargestEntries.Find(rest, places);
            Entries.Gather(rest, places, values);
            Entries.Add(values, places, rest, -1);
            threshold.Master.CopyFrom([(float)MatrixScan.Run(rest).Largest]);
        }
        finally
        {
            graph.Clear();
        }
    }

    /// <summary>Returns the number of entries that a share of a layer's are, at least 1.</summary>
    public static long Count(ModuleShape module, double share) =>
        Math.Max(1, (long)Math.Round(share * module.Out * module.In));

    /// <summary>Returns a column of ones, as many as a factor has rows.</summary>
    internal static Expression Ones(Factor like) =>
        like.Table((like.Shape[0], 1), ("ones", like.Shape[0]), () => [.. Enumerable.Repeat(1f, like.Shape[0])]);

    /// <summary>Returns √(‖b_i‖² + ‖a_j‖² − 2 b_i·a_j), all of them by one product.</summary>
    private static Expression Distance(Expression left, Expression right, Expression onesLeft, Expression onesRight)
    {
        Expression b = ExpressionOperations.ConcatColumns(left.Scale(-2), Squares(left), onesLeft);
        Expression a = ExpressionOperations.ConcatColumns(right, onesRight, Squares(right));
        return b.MatMul(a, transposeB: true).Sqrt(SmallestSquare);

        static Expression Squares(Expression x) => x.Dot(x, Broadcast.PerRow).Reshape((x.Shape[0], 1));
    }
}
