using Spectral.Kernels;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// The memory behind the factors of some modules: trainable ones in a set, frozen ones each for themselves.
/// </summary>
internal sealed class BoundFactors : IDisposable
{
    private readonly List<Parameter> _frozen = [];
    private readonly Dictionary<SavedTensor, Parameter> _saved = [];

    /// <summary>Allocates all factors and saved tensors, zero.</summary>
    /// <param name="device">Where they live.</param>
    /// <param name="modules">Modules with factors.</param>
    /// <param name="saved">Tensors of the model that are kept whole; null: none.</param>
    /// <param name="type">The model's compute type.</param>
    public BoundFactors(
        Device device,
        IReadOnlyList<AdaptedModule> modules,
        IReadOnlyList<SavedTensor>? saved = null,
        DType type = DType.F32
    )
    {
        var factors = modules
            .SelectMany(module => module.AllFactors.Select(factor => (module, factor)))
            .DistinctBy(pair => pair.factor)
            .ToList();
        var trained = factors.Where(pair => pair.factor.Trains).ToList();
        SavedTensor[] whole = [.. (saved ?? []).Where(tensor => tensor.Trains)];
        Trained = new ParameterSet(
            device,
            [
                .. trained.Select(pair => (pair.module.FullName(pair.factor), pair.factor.Shape)),
                .. whole.Select(tensor => (tensor.Key, tensor.Shape)),
            ],
            rates: [.. trained.Select(pair => pair.factor.Rate), .. whole.Select(_ => 1.0)],
            types:
            [
                .. trained.Select(_ => DType.F32),
                .. whole.Select(tensor => tensor.Tokens is null ? type : DType.F32),
            ]
        );
        foreach (((AdaptedModule _, Expressions.Factor factor), Parameter parameter) in trained.Zip(Trained.Parameters))
            factor.Parameter = parameter;
        foreach ((SavedTensor tensor, Parameter parameter) in whole.Zip(Trained.Parameters.Skip(trained.Count)))
            _saved.Add(tensor, parameter);
        foreach (SavedTensor tensor in (saved ?? []).Where(tensor => !tensor.Trains))
            _saved.Add(tensor, new Parameter(tensor.Name, Tensor.Zeros(device, tensor.Shape, type)));
        foreach ((AdaptedModule module, Expressions.Factor factor) in factors.Where(pair => !pair.factor.Trains))
            _frozen.Add(factor.Parameter = new Parameter(module.FullName(factor), Tensor.Zeros(device, factor.Shape)));
    }

    /// <summary>Factors that do not.</summary>
    public IReadOnlyList<Parameter> Frozen => _frozen;

    /// <summary>The memory of saved tensors.</summary>
    public IReadOnlyDictionary<SavedTensor, Parameter> Saved => _saved;

    /// <summary>What trains.</summary>
    public ParameterSet Trained { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (
            Parameter parameter in _frozen.Concat(_saved.Where(pair => !pair.Key.Trains).Select(pair => pair.Value))
        )
        {
            parameter.Dispose();
        }

        Trained.Dispose();
    }
}
