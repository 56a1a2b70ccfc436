using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// Matrices of one shape among the parameters that one launch can work on; what is no matrix counts as a single row.
/// </summary>
/// <param name="Indices">The numbers of the parameters, in the order of the batch.</param>
/// <param name="Masters">Their masters.</param>
/// <param name="Gradients">Their gradients, which lie as the masters do.</param>
/// <param name="Rate">Their factor on the learning rate.</param>
internal sealed record ParameterBatch(
    IReadOnlyList<int> Indices,
    MatrixBatch Masters,
    MatrixBatch Gradients,
    float Rate
)
{
    /// <summary>The number of matrices.</summary>
    public int Count => Indices.Count;

    /// <summary>Sorts matrices among the parameters into batches.</summary>
    /// <param name="parameters">The parameters, with gradients.</param>
    /// <param name="matrices">The numbers of the matrices.</param>
    public static IReadOnlyList<ParameterBatch> Of(ParameterSet parameters, IEnumerable<int> matrices)
    {
        List<ParameterBatch> batches = [];
        foreach (
            IGrouping<(Shape, int), int> alike in matrices.GroupBy(index =>
                (parameters.Parameters[index].Shape, parameters.PlaceOf(index).Buffer)
            )
        )
        {
            int[] indices = [.. alike];
            long[][] places = [.. indices.Select(index => new long[] { parameters.PlaceOf(index).Offset })];
            batches.AddRange(
                EqualDistances.Runs(places).Select(run => Batch(parameters, [.. run.Select(item => indices[item])]))
            );
        }

        return batches;
    }

    private static ParameterBatch Batch(ParameterSet parameters, int[] indices)
    {
        (int buffer, int offset) = parameters.PlaceOf(indices[0]);
        int stride = indices.Length > 1 ? parameters.PlaceOf(indices[1]).Offset - offset : 0;
        Shape shape = parameters.Parameters[indices[0]].Shape;
        (int rows, int columns) = shape.Rank == 2 ? (shape[0], shape[1]) : (1, checked((int)shape.Count));
        MatrixBatch masters = new(parameters.Masters[buffer], offset, rows, columns, indices.Length, stride);
        return new ParameterBatch(
            indices,
            masters,
            masters with
            {
                Tensor = parameters.Gradients[buffer],
            },
            (float)parameters.Rates[buffer]
        );
    }
}
