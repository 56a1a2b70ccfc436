using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using static Spectral.Training.Tests.Adapters.Expressions.MatrixFormulas;

namespace Spectral.Training.Tests.Adapters.Expressions;

/// <summary>Operations that arrange elements anew.</summary>
internal static class ArrangementCases
{
    public static IEnumerable<ExpressionCase> All()
    {
        yield return new(
            "rows together",
            [(2, 3), (4, 3)],
            x => ExpressionOperations.ConcatRows(x[0], x[1], x[0]),
            x => [.. x[0], .. x[1], .. x[0]]
        );
        yield return new(
            "columns together",
            [(2, 3), (2, 1)],
            x => ExpressionOperations.ConcatColumns(x[0], x[1]),
            x => [x[0][0], x[0][1], x[0][2], x[1][0], x[0][3], x[0][4], x[0][5], x[1][1]]
        );
        yield return new("rectangle", [(4, 5)], x => x[0].Block(1, 2, 2, 3), x => [.. x[0][7..10], .. x[0][12..15]]);
        yield return new(
            "two rectangles",
            [(4, 5)],
            x => x[0].Block(0, 0, 2, 2).Add(x[0].Block(1, 1, 2, 2)),
            x => [x[0][0] + x[0][6], x[0][1] + x[0][7], x[0][5] + x[0][11], x[0][6] + x[0][12]]
        );
        yield return new(
            "reshaped",
            [(3, 4)],
            x => x[0].Reshape((2, 6)).Add(x[0].Square().Reshape((2, 6))),
            x => Array.ConvertAll(x[0], a => a + a * a)
        );
        yield return new(
            "transposed",
            [(3, 4)],
            x => x[0].Transpose().Add(x[0].Transpose().Square()),
            x => [.. Enumerable.Range(0, 12).Select(at => x[0][at % 3 * 4 + at / 3]).Select(a => a + a * a)]
        );
        yield return new(
            "permuted",
            [(2, 3, 4)],
            x => x[0].Permute(2, 0, 1),
            x => [.. Enumerable.Range(0, 24).Select(at => x[0][at / 3 % 2 * 12 + at % 3 * 4 + at / 6])]
        );
        yield return new(
            "gathered",
            [5],
            x => x[0].Gather((2, 3), [4, -1, 0, 4, 2, 1], [1, 2, 3, -4, 5, 6]),
            x => [x[0][4], 0, 3 * x[0][0], -4 * x[0][4], 5 * x[0][2], 6 * x[0][1]]
        );
        yield return new("repeated", [(2, 3)], x => x[0].Repeat(3), x => [.. x[0], .. x[0], .. x[0]]);
        yield return new(
            "tiled",
            [(2, 3)],
            x => x[0].Tile(2, 2),
            x => [.. Enumerable.Range(0, 24).Select(at => x[0][at / 6 % 2 * 3 + at % 6 % 3])]
        );
        yield return new(
            "block diagonal",
            [(2, 1, 2)],
            x => x[0].BlockDiagonal(),
            x => [x[0][0], x[0][1], 0, 0, 0, 0, x[0][2], x[0][3]]
        );
        yield return new(
            "upper triangle",
            [(3, 3)],
            x => x[0].UpperTriangle(0.5),
            x => [0.5 * x[0][0], x[0][1], x[0][2], 0, 0.5 * x[0][4], x[0][5], 0, 0, 0.5 * x[0][8]]
        );
        yield return new(
            "table",
            [(2, 3)],
            x =>
                x[0]
                    .Multiply(
                        ExpressionCase.FactorOf(x[0]).Table((2, 3), "squares", () => [0, 1, 4, 9, 16, 25]),
                        Broadcast.PerElement
                    ),
            x => [.. x[0].Select((a, at) => a * at * at)]
        );
        yield return new(
            "skew-symmetric",
            [(2, 6)],
            x => x[0].SkewSymmetric(4),
            x => [.. Skew(x[0][..6], 4), .. Skew(x[0][6..], 4)]
        );
    }
}
