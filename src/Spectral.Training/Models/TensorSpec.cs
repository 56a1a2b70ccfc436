namespace Spectral.Training.Models;

/// <summary>The name and the shape of a tensor of a model.</summary>
public sealed record TensorSpec(string Name, IReadOnlyList<long> Shape)
{
    /// <summary>Whether files have the matrix with rows and columns exchanged.</summary>
    internal bool IsTransposed { get; init; }

    /// <summary>What every element of a fresh tensor is; 0: vectors are zero and matrices random.</summary>
    internal float Start { get; init; }

    /// <summary>The number of elements, the product of the dimensions.</summary>
    public long Count => Shape.Aggregate(1L, (product, dimension) => product * dimension);
}
