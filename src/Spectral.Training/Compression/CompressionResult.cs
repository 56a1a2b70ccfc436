namespace Spectral.Training.Compression;

/// <summary>What a compression wrote, how small it is and what it lost.</summary>
/// <param name="Layers">The layers of the adapter, in its order.</param>
/// <param name="Error">
/// The Frobenius norm of what is dropped of the changes of all layers, relative to that of the changes.
/// </param>
/// <param name="BytesBefore">The size of the input's file of weights.</param>
/// <param name="BytesAfter">The size of the result's file of weights.</param>
/// <param name="BitsPerParameter">
/// The bits that the result stores for the layers' changes, per entry of these changes as dense matrices.
/// </param>
/// <param name="Tensors">The number of tensors written.</param>
public sealed record CompressionResult(
    IReadOnlyList<CompressedLayer> Layers,
    double Error,
    long BytesBefore,
    long BytesAfter,
    double BitsPerParameter,
    int Tensors
);
