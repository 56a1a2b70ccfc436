using Spectral.Kernels;
using Spectral.Training.IO;

namespace Spectral.Training.Calibration;

/// <summary>Measures a frozen model on some data, layer by layer, for adapter methods that start from data.</summary>
/// <remarks>
/// Layers are named by module path and best requested in model order. The sequences are computed while they are
/// enumerated, some layers at a time, so that the gradients of a whole model are never in memory together. The caller
/// owns the results. The model's weights must not change during the enumeration.
/// </remarks>
public interface ICalibration
{
    /// <summary>
    /// Computes Ḡ [out, in] F32 of each layer in order: the gradient of the loss with respect to W, averaged over
    /// batches.
    /// </summary>
    /// <exception cref="InputException">The model has no such layer, or its loss is not finite.</exception>
    IEnumerable<Tensor> Gradients(IReadOnlyList<string> modules);

    /// <summary>
    /// Computes Σ [in, in] F32 of each layer in order: the mean over records of XᵀX / max|X|², where X [tokens, in] is
    /// the layer's input (Yang et al., "CorDA: Context-Oriented Decomposition Adaptation of Large Language Models",
    /// 2024).
    /// </summary>
    /// <exception cref="InputException">The model has no such layer, or its inputs are not finite.</exception>
    IEnumerable<Tensor> InputSecondMoments(IReadOnlyList<string> modules);

    /// <summary>
    /// Computes the principal directions of each layer's inputs, in order (Paischer et al., "Parameter Efficient
    /// Fine-tuning via Explained Variance Adaptation", 2024).
    /// </summary>
    /// <param name="modules">The layers. Those that read the same input share one result.</param>
    /// <param name="count">
    /// The smallest number of directions; there are fewer only if the inputs have fewer tokens or features.
    /// </param>
    /// <param name="similarity">
    /// The threshold τ. Directions count as converged, and the layer reads no more data, when a batch turns none of
    /// them by more than arccos τ.
    /// </param>
    /// <param name="labelled">Whether to ignore the tokens of prompts, which carry no loss.</param>
    /// <exception cref="InputException">The model has no such layer, or its inputs are not finite.</exception>
    IReadOnlyList<InputDirections> InputDirections(
        IReadOnlyList<string> modules,
        int count,
        double similarity = 0.99,
        bool labelled = false
    );
}
