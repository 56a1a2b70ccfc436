using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>A training step as an adapter method sees it that acts between steps.</summary>
/// <param name="Options">The adapter's settings.</param>
/// <param name="Modules">Its layers, in model order, with their factors.</param>
/// <param name="Parameters">What trains.</param>
/// <param name="Number">The step, 1 to <paramref name="Total"/>.</param>
/// <param name="Total">Steps of the whole run.</param>
public sealed record AdapterStep(
    AdapterOptions Options,
    IReadOnlyList<AdaptedModule> Modules,
    ParameterSet Parameters,
    int Number,
    int Total
);
