using Spectral.Training.IO;
using Spectral.Training.Numerics;

namespace Spectral.Training.Models;

/// <summary>
/// The values of a tensor of a head that the weights of a folder lack, as those of a model that was only pretrained do:
/// N(0, <c>initializer_range</c>²) for matrices and 0 for biases, always the same for a name.
/// </summary>
internal sealed class FreshWeights : ComputedValues
{
    private readonly Lazy<float[]> _values;

    /// <summary>Describes the values, which are drawn when they are first read.</summary>
    /// <param name="tensor">The tensor, a matrix or a vector.</param>
    /// <param name="deviation">The standard deviation of a matrix.</param>
    /// <param name="like">A stored tensor of the folder, which has the type of the weights.</param>
    public FreshWeights(TensorSpec tensor, double deviation, SafetensorsTensor like)
        : base(tensor.Name, like.Type, tensor.Shape, [like]) =>
        _values = new Lazy<float[]>(() => Draw(tensor, deviation));

    /// <inheritdoc/>
    public override void ReadFloats(long start, Span<float> destination) =>
        _values.Value.AsSpan((int)start, destination.Length).CopyTo(destination);

    private static float[] Draw(TensorSpec tensor, double deviation)
    {
        int count = checked((int)tensor.Count);
        return tensor.Shape.Count == 1
            ? new float[count]
            : new TorchGenerator((long)(RandomStream.For(tensor.Name) >> 1)).Normal(count, deviation);
    }
}
