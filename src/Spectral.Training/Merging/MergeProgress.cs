namespace Spectral.Training.Merging;

/// <summary>How far a merge is.</summary>
/// <param name="Done">Tensors done, each counted once in every pass over the model.</param>
/// <param name="Total">The number at the end.</param>
/// <param name="Tensor">The tensor that was done last.</param>
public readonly record struct MergeProgress(int Done, int Total, string Tensor);
