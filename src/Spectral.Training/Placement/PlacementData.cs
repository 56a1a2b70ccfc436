using Spectral.Training.Data;
using Spectral.Training.Models;

namespace Spectral.Training.Placement;

/// <summary>What a method that runs the model needs.</summary>
/// <param name="Model">The model, frozen and without an adapter.</param>
/// <param name="Records">Records of the training task.</param>
/// <param name="Validation">
/// Records of the task that the result is to be good at; null: <paramref name="Records"/>.
/// </param>
/// <param name="Batch">The number of records in a batch.</param>
public sealed record PlacementData(
    CausalLanguageModel Model,
    IReadOnlyList<EncodedRecord> Records,
    IReadOnlyList<EncodedRecord>? Validation = null,
    int Batch = 8
);
