namespace Spectral.Training.Models;

/// <summary>A tensor of a checkpoint that holds several tensors of the model, one after the other.</summary>
/// <param name="Name">The name in the checkpoint.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="Parts">The tensors of the model, in their order.</param>
internal sealed record FusedTensor(string Name, IReadOnlyList<long> Shape, IReadOnlyList<TensorSpec> Parts);
