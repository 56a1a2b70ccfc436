namespace Spectral.Training.Merging;

/// <summary>Begins the merge of one tensor, e.g. by measuring it, and returns what to do with its pieces.</summary>
internal delegate PieceMerge TensorMerge(MergeTensor tensor);

/// <summary>
/// Merges one piece of a tensor: writes the values of the result, the base's included. Pieces may be merged in any
/// order and at the same time.
/// </summary>
internal delegate void PieceMerge(MergePiece piece, Span<float> result);
