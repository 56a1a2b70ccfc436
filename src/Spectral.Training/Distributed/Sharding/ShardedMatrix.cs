using Spectral.Kernels.Ops;

namespace Spectral.Training.Distributed.Sharding;

/// <summary>
/// One quantised matrix of a <see cref="ShardedUnit"/>, which is gathered from all ranks when its value is read.
/// </summary>
/// <param name="Unit">The unit that holds the matrix.</param>
/// <param name="Index">The number of the matrix among the quantised ones of its unit.</param>
/// <param name="Bytes">The bytes of this rank's part, on average over the ranks.</param>
internal sealed record ShardedMatrix(ShardedUnit Unit, int Index, long Bytes)
{
    /// <summary>The whole matrix, until other weights are asked for.</summary>
    public QuantizedMatrix Value => Unit.MatrixOf(Index);
}
