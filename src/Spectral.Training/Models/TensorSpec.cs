namespace Spectral.Training.Models;

/// <summary>Name and shape of a tensor that a model has.</summary>
public sealed record TensorSpec(string Name, IReadOnlyList<long> Shape)
{
    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (product, dimension) => product * dimension);
}
