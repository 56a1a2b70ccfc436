namespace Spectral.Training.Compression;

/// <summary>What a compression wrote, how small it is and what it lost.</summary>
/// <param name="Layers">The layers whose change is compressed, in the order of the model.</param>
/// <param name="Error">
/// The Frobenius norm of what is lost of the changes of all layers, relative to that of the changes.
/// </param>
/// <param name="BytesBefore">The size of the input's files of weights.</param>
/// <param name="BytesAfter">The size of the result's file of weights, and of the description of what is packed.</param>
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
)
{
    /// <summary>What calibration changes in all layers together; null: they are not calibrated.</summary>
    public CalibratedErrors? Calibrated { get; init; }

    /// <summary>The tensors outside of the layers that are stored whole, uncompressed.</summary>
    public IReadOnlyList<string> Whole { get; init; } = [];

    /// <summary>The warnings about the input, one line each.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}
