using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>Low-rank terms of one shape and scale that one launch can work on.</summary>
/// <param name="Pairs">The terms, in the order of the batch.</param>
/// <param name="Left">The masters of the left factors.</param>
/// <param name="Right">The masters of the right factors.</param>
internal sealed record PairBatch(IReadOnlyList<FactorPair> Pairs, MatrixBatch Left, MatrixBatch Right)
{
    /// <summary>The number of terms.</summary>
    public int Count => Pairs.Count;

    /// <summary>The scale s of each term.</summary>
    public double Scale => Pairs[0].Scale;

    /// <summary>The rank r of each term.</summary>
    public int Rank => Right.Rows;

    /// <summary>
    /// Sorts terms into batches. A term whose right factor is frozen, and so is in no buffer, has one of its own.
    /// </summary>
    public static IReadOnlyList<PairBatch> Of(ParameterSet parameters, IReadOnlyList<FactorPair> pairs)
    {
        var numbers = parameters.Parameters.Index().ToDictionary(at => at.Item, at => at.Index);
        List<PairBatch> batches = [];
        foreach (FactorPair pair in pairs.Where(pair => !numbers.ContainsKey(pair.Right)))
        {
            Shape shape = pair.Right.Shape;
            MatrixBatch right = new(pair.Right.Master, 0, shape[0], shape[1]);
            batches.Add(new PairBatch([pair], Matrices([pair.Left]), right));
        }

        foreach (
            IGrouping<(Shape, int, Shape, int, double), FactorPair> alike in pairs
                .Where(pair => numbers.ContainsKey(pair.Right))
                .GroupBy(pair =>
                    (pair.Left.Shape, Place(pair.Left).Buffer, pair.Right.Shape, Place(pair.Right).Buffer, pair.Scale)
                )
        )
        {
            FactorPair[] some = [.. alike];
            long[][] places =
            [
                .. some.Select(pair => new long[] { Place(pair.Left).Offset, Place(pair.Right).Offset }),
            ];
            batches.AddRange(
                EqualDistances
                    .Runs(places)
                    .Select(run => new PairBatch(
                        [.. run.Select(item => some[item])],
                        Matrices([.. run.Select(item => some[item].Left)]),
                        Matrices([.. run.Select(item => some[item].Right)])
                    ))
            );
        }

        return batches;

        (int Buffer, int Offset) Place(Parameter parameter) => parameters.PlaceOf(numbers[parameter]);

        MatrixBatch Matrices(IReadOnlyList<Parameter> factors)
        {
            (int buffer, int offset) = Place(factors[0]);
            int stride = factors.Count > 1 ? Place(factors[1]).Offset - offset : 0;
            Shape shape = factors[0].Shape;
            return new MatrixBatch(parameters.Masters[buffer], offset, shape[0], shape[1], factors.Count, stride);
        }
    }

    /// <summary>Returns the gradients of some factors, which lie as their masters do.</summary>
    public static MatrixBatch GradientsOf(ParameterSet parameters, MatrixBatch masters)
    {
        int buffer = parameters.Masters.Index().First(at => at.Item == masters.Tensor).Index;
        return masters with { Tensor = parameters.Gradients[buffer] };
    }
}
