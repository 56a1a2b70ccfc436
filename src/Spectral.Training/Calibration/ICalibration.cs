using Spectral.Kernels;
using Spectral.Training.IO;

namespace Spectral.Training.Calibration;

/// <summary>
/// What a frozen model does on some data, layer by layer: what adapter methods that start from data ask for.
/// </summary>
/// <remarks>
/// Layers are named by module path, and best asked for in model order. The sequences are computed while they are read,
/// some layers at a time, so that a model's gradients never lie in memory together; what comes out of them belongs to
/// the reader, and the model's weights must stay as they are meanwhile.
/// </remarks>
public interface ICalibration
{
    /// <summary>
    /// Ḡ [out, in] F32 of each layer in order: the gradient of the loss with respect to W, averaged over batches.
    /// </summary>
    /// <exception cref="InputException">The model has no such layer, or its loss is not finite.</exception>
    IEnumerable<Tensor> Gradients(IReadOnlyList<string> modules);

    /// <summary>
    /// Σ [in, in] F32 of each layer in order: the mean over records of XᵀX / max|X|², where X [tokens, in] is the
    /// layer's input (Yang et al., "CorDA:
    /// Context-Oriented Decomposition Adaptation of Large Language Models", 2024).
    /// </summary>
    /// <exception cref="InputException">The model has no such layer, or its inputs are not finite.</exception>
    IEnumerable<Tensor> InputSecondMoments(IReadOnlyList<string> modules);

    /// <summary>
    /// The principal directions of each layer's inputs, in order (Paischer et al., "Parameter Efficient Fine-tuning via
    /// Explained Variance Adaptation", 2024).
    /// </summary>
    /// <param name="modules">The layers. Those that read the same input share one result.</param>
    /// <param name="count">Directions wanted: at least so many, but fewer where the inputs have fewer tokens or
    /// features.</param>
    /// <param name="similarity">τ: they count as converged, and the layer's data ends, when a batch turns none of them
    /// by more than arccos τ.</param>
    /// <param name="labelled">Whether tokens of a prompt, which carry no label, are left out.</param>
    /// <exception cref="InputException">The model has no such layer, or its inputs are not finite.</exception>
    IReadOnlyList<InputDirections> InputDirections(
        IReadOnlyList<string> modules,
        int count,
        double similarity = 0.99,
        bool labelled = false
    );
}
