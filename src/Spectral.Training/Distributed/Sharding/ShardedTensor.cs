using Spectral.Kernels;

namespace Spectral.Training.Distributed.Sharding;

/// <summary>
/// One tensor of a <see cref="ShardedUnit"/>, which is gathered from all ranks when its value is read.
/// </summary>
/// <param name="Unit">The unit that holds the tensor.</param>
/// <param name="Index">The number of the tensor in its unit.</param>
/// <param name="Shape">The shape of the whole tensor.</param>
internal sealed record ShardedTensor(ShardedUnit Unit, int Index, Shape Shape)
{
    /// <summary>
    /// The whole value, until other weights are asked for. A caller that keeps it makes a handle of its own.
    /// </summary>
    public Tensor Value => Unit.ValueOf(Index);

    /// <summary>
    /// The gradient of the whole tensor, F32, until the gradient of another unit is asked for and this one is summed
    /// over the ranks; null if it does not train.
    /// </summary>
    public Tensor? Gradient => Unit.Trains ? Unit.GradientOf(Index) : null;

    /// <summary>Whether the tensor trains.</summary>
    public bool Trains => Unit.Trains;

    /// <summary>The bytes of this rank's part, on average over the tensors of the unit.</summary>
    public long Bytes => Unit.Own.Bytes * Shape.Count / Unit.Length;
}
