using Spectral.Training.Adapters.Files;
using Spectral.Training.IO;

namespace Spectral.Training.Adapters;

/// <summary>The contents of a plain LoRA's folder, before anything is written.</summary>
/// <param name="Config">The config.</param>
/// <param name="Factors">The factors, two for each layer, in the order of the layers.</param>
/// <param name="Copies">
/// Copies that PEFT stores for a head that follows the embedding. No reader here needs them.
/// </param>
/// <param name="Others">Biases, whole modules and rows beside the factors.</param>
internal sealed record PlainLora(
    AdapterConfig Config,
    IReadOnlyList<LoraTensor> Factors,
    IReadOnlyList<TensorToWrite> Copies,
    IReadOnlyList<TensorToWrite> Others
);
