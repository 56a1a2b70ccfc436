using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// The memory of the factors of some modules. Trainable ones lie in one parameter set, each frozen one in a tensor of
/// its own.
/// </summary>
internal sealed class BoundFactors : IDisposable
{
    private readonly List<Parameter> _frozen = [];
    private readonly Dictionary<SavedTensor, Parameter> _saved = [];

    /// <summary>Allocates all factors and saved tensors, filled with zeros.</summary>
    /// <param name="device">The device to allocate on.</param>
    /// <param name="modules">The modules whose factors are allocated.</param>
    /// <param name="saved">Tensors of the model that the adapter has its own values of; null: none.</param>
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
        foreach (((AdaptedModule _, Factor factor), Parameter parameter) in trained.Zip(Trained.Parameters))
            factor.Parameter = parameter;
        foreach ((SavedTensor tensor, Parameter parameter) in whole.Zip(Trained.Parameters.Skip(trained.Count)))
            _saved.Add(tensor, parameter);
        foreach (SavedTensor tensor in (saved ?? []).Where(tensor => !tensor.Trains))
            _saved.Add(tensor, new Parameter(tensor.Name, Tensor.Zeros(device, tensor.Shape, type)));
        foreach ((AdaptedModule module, Factor factor) in factors.Where(pair => !pair.factor.Trains))
        {
            DType stored = factor.PlacesIn is null ? DType.F32 : DType.I32;
            var values = Tensor.Zeros(device, factor.Shape, stored);
            _frozen.Add(factor.Parameter = new Parameter(module.FullName(factor), values));
        }

        Trained.Modules =
        [
            .. trained.Select(pair => pair.factor.IsShared ? pair.factor.Name : pair.module.Shape.Name),
            .. whole.Select(tensor => tensor.Module),
        ];
        Trained.Pairs = [.. PairsOf(modules, rightTrains: true)];
        Trained.LeftOnly = [.. PairsOf(modules, rightTrains: false)];
    }

    /// <summary>The factors that do not train.</summary>
    public IReadOnlyList<Parameter> Frozen => _frozen;

    /// <summary>The saved tensors, each with its parameter.</summary>
    public IReadOnlyDictionary<SavedTensor, Parameter> Saved => _saved;

    /// <summary>The trainable factors and saved tensors.</summary>
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

    /// <summary>Returns the terms of two plain factors, nothing between them, of which the left one trains.</summary>
    private static IEnumerable<FactorPair> PairsOf(IReadOnlyList<AdaptedModule> modules, bool rightTrains)
    {
        foreach (LowRankTerm term in modules.SelectMany(module => module.Form.Terms))
        {
            if (
                term is { Left: Factor { Trains: true } left, Middle: null, Right: Factor right }
                && right.Trains == rightTrains
            )
            {
                yield return new FactorPair(left.Parameter, right.Parameter, term.Scale);
            }
        }
    }
}
