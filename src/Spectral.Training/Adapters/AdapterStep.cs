using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>A training step, for an adapter method that acts between steps.</summary>
/// <param name="Options">The settings of the adapter.</param>
/// <param name="Modules">The adapted layers, in model order, with their factors.</param>
/// <param name="Parameters">All trainable parameters of the adapter.</param>
/// <param name="Number">The number of the step, 1 to <paramref name="Total"/>.</param>
/// <param name="Total">The number of steps of the whole run.</param>
public sealed record AdapterStep(
    AdapterOptions Options,
    IReadOnlyList<AdaptedModule> Modules,
    ParameterSet Parameters,
    int Number,
    int Total
);
