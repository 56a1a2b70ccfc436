using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// Expressions that rearrange the elements of another by a fixed table. A table costs 12 to 16 bytes per element, once
/// for all layers of a size.
/// </summary>
public static class ExpressionArrangements
{
    /// <summary>
    /// Returns elements of x by their indices, −1 for zero, each times a constant factor if there are any.
    /// </summary>
    /// <param name="x">The source, of any shape.</param>
    /// <param name="shape">The shape of the result.</param>
    /// <param name="index">
    /// One index per element of the result. Layers that pass the same array share its table.
    /// </param>
    /// <param name="factors">As many constant factors; they must always be the same for the same index array.</param>
    /// <exception cref="ArgumentException">
    /// The number of indices does not fit the shape. All operations here throw this when shapes do not fit.
    /// </exception>
    public static Expression Gather(this Expression x, Shape shape, int[] index, float[]? factors = null) =>
        index.Length == shape.Count
            ? new Rearranged(x, shape, index, () => (index, factors))
            : throw new ArgumentException($"{index.Length} indices for {shape}", nameof(index));

    /// <summary>Repeats x along a new first dimension.</summary>
    /// <param name="x">Up to three dimensions.</param>
    /// <param name="copies">The new first dimension.</param>
    public static Expression Repeat(this Expression x, int copies)
    {
        Shape shape = x.Shape.Rank switch
        {
            1 => (copies, x.Shape[0]),
            2 => (copies, x.Shape[0], x.Shape[1]),
            3 => (Shape)(copies, x.Shape[0], x.Shape[1], x.Shape[2]),
            _ => throw new ArgumentException($"{x.Shape} repeated", nameof(x)),
        };
        long count = x.Shape.Count;
        return Make(x, shape, ("repeat", copies), at => (int)(at % count));
    }

    /// <summary>Repeats a matrix [m, n] to [down·m, across·n].</summary>
    public static Expression Tile(this Expression x, int down, int across)
    {
        (int m, int n) =
            x.Shape.Rank == 2 ? (x.Shape[0], x.Shape[1]) : throw new ArgumentException($"{x.Shape} tiled", nameof(x));
        return Make(
            x,
            (down * m, across * n),
            ("tile", m, n, down, across),
            at => (int)(at / (across * n) % m * n + at % n)
        );
    }

    /// <summary>
    /// Places the blocks [b, m, n] on the diagonal of a matrix [b·m, b·n]. To only multiply by it, use
    /// <see cref="ExpressionOperations.MatMulBlocks"/>, which does not form the matrix.
    /// </summary>
    public static Expression BlockDiagonal(this Expression x)
    {
        (int b, int m, int n) =
            x.Shape.Rank == 3
                ? (x.Shape[0], x.Shape[1], x.Shape[2])
                : throw new ArgumentException($"the block diagonal of {x.Shape}", nameof(x));
        return Make(
            x,
            (b * m, b * n),
            ("diagonal", b, m, n),
            at =>
            {
                (long row, long column) = (at / (b * n), at % (b * n));
                return row / m == column / n ? (int)(row * n + column % n) : -1;
            }
        );
    }

    /// <summary>
    /// Builds skew-symmetric matrices [b, n, n] from vectors [b, n(n − 1)/2], which hold the strict upper triangles row
    /// by row (PEFT's order for OFT).
    /// </summary>
    public static Expression SkewSymmetric(this Expression x, int n)
    {
        int entries = n * (n - 1) / 2;
        if (x.Shape.Rank != 2 || x.Shape[1] != entries)
        {
            throw new ArgumentException(
                $"{x.Shape} as the upper triangles of matrices [{n}, {n}]: expected [any, {entries}]",
                nameof(x)
            );
        }

        return new Rearranged(
            x,
            (x.Shape[0], n, n),
            ("skew", n),
            () =>
            {
                int count = x.Shape[0] * n * n;
                (int[] index, float[] factors) = (new int[count], new float[count]);
                for (int at = 0; at < count; at++)
                {
                    (int row, int column) = (at / n % n, at % n);
                    (int first, int second) = (Math.Min(row, column), Math.Max(row, column));
                    index[at] =
                        row == column
                            ? -1
                            : at / (n * n) * entries + first * n - first * (first + 1) / 2 + second - first - 1;
                    factors[at] = row < column ? 1 : -1;
                }
                return (index, factors);
            }
        );
    }

    /// <summary>
    /// Returns the upper triangle of a matrix [n, n] with its diagonal times a constant, and zeros below.
    /// </summary>
    public static Expression UpperTriangle(this Expression x, double diagonal = 1)
    {
        int n =
            x.Shape.Rank == 2 && x.Shape[0] == x.Shape[1]
                ? x.Shape[0]
                : throw new ArgumentException($"the upper triangle of {x.Shape}", nameof(x));
        return new Rearranged(
            x,
            x.Shape,
            ("upper", n, diagonal),
            () =>
            {
                (int[] index, float[] factors) = (new int[n * n], new float[n * n]);
                for (int at = 0; at < index.Length; at++)
                    (index[at], factors[at]) = (at / n <= at % n ? at : -1, at / n == at % n ? (float)diagonal : 1);
                return (index, factors);
            }
        );
    }

    /// <summary>
    /// Returns a constant table that is computed from numbers alone. No file holds it, and layers with equal tables
    /// share the memory.
    /// </summary>
    /// <param name="beside">Any factor of the layer; the table is on its device.</param>
    /// <param name="shape">The table's shape.</param>
    /// <param name="structure">A key that is equal for equal tables.</param>
    /// <param name="values">Computes the elements, row by row. Called once per structure.</param>
    internal static Expression Table(this Factor beside, Shape shape, object structure, Func<float[]> values) =>
        new ConstantTable(beside, shape, structure, values);

    private static Rearranged Make(Expression x, Shape shape, object structure, Func<long, int> source) =>
        new(
            x,
            shape,
            structure,
            () =>
            {
                int[] index = new int[shape.Count];
                for (long at = 0; at < index.Length; at++)
                    index[at] = source(at);
                return (index, null);
            }
        );
}
