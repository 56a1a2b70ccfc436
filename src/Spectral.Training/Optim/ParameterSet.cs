using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Distributed.Sharding;

namespace Spectral.Training.Optim;

/// <summary>
/// The trainable parameters of a model or adapter, laid out one after another in a few large buffers.
/// </summary>
/// <remarks>
/// With one buffer of masters (and one of gradients, and two of optimizer state), the norm and the update each need a
/// single kernel launch for any number of parameters. A buffer holds parameters with the same factor on the learning
/// rate. Each parameter starts at a multiple of 64 elements; the padding stays zero.
/// </remarks>
public sealed class ParameterSet : IDisposable
{
    private const long Alignment = 64;

    /// <summary>
    /// The largest number of elements in a buffer (1 GiB), unless a single parameter is larger. It keeps offsets within
    /// 32 bits.
    /// </summary>
    private const long BufferLimit = 1L << 28;

    private readonly List<Tensor> _masters = [];
    private readonly List<Tensor> _gradients = [];
    private readonly List<double> _rates = [];
    private readonly List<(int Buffer, int Offset)> _places = [];
    private readonly List<Parameter> _parameters = [];

    /// <summary>Allocates masters, filled with zeros, for the given names and shapes.</summary>
    /// <param name="device">The device to allocate on.</param>
    /// <param name="shapes">The names and shapes, in the order in which they are stored.</param>
    /// <param name="valueType">The compute type of <see cref="Parameter.Value"/>.</param>
    /// <param name="rates">
    /// The factor on the learning rate of each parameter, in the same order, above 0; null: 1 for all.
    /// </param>
    /// <param name="types">
    /// The compute type of each parameter, in the same order; null: <paramref name="valueType"/> for all.
    /// </param>
    /// <exception cref="ArgumentException">
    /// The number of factors or of types differs from the number of shapes.
    /// </exception>
    public ParameterSet(
        Device device,
        IEnumerable<(string Name, Shape Shape)> shapes,
        DType valueType = DType.F32,
        IReadOnlyList<double>? rates = null,
        IReadOnlyList<DType>? types = null
    )
    {
        var wanted = shapes.ToList();
        if (types is not null && types.Count != wanted.Count)
        {
            throw new ArgumentException(
                $"{types.Count} compute types, expected {wanted.Count}, one for each parameter",
                nameof(types)
            );
        }

        if (rates is not null && rates.Count != wanted.Count)
        {
            throw new ArgumentException(
                $"{rates.Count} learning-rate factors, expected {wanted.Count}, one for each parameter",
                nameof(rates)
            );
        }

        Device = device;
        StepState = new StepState(device);
        var sizes = new List<long>();
        for (int i = 0; i < wanted.Count; i++)
        {
            long length = (wanted[i].Shape.Count + Alignment - 1) / Alignment * Alignment;
            double rate = rates?[i] ?? 1;
            int buffer = _rates.LastIndexOf(rate);
            if (buffer < 0 || sizes[buffer] + length > BufferLimit)
            {
                buffer = sizes.Count;
                sizes.Add(0);
                _rates.Add(rate);
            }
            _places.Add((buffer, checked((int)sizes[buffer])));
            sizes[buffer] += length;
        }
        foreach (long size in sizes)
            _masters.Add(Tensor.Zeros(device, checked((int)size)));
        for (int i = 0; i < wanted.Count; i++)
        {
            (string name, Shape shape) = wanted[i];
            _parameters.Add(new Parameter(name, Part(_masters, _places[i], shape), types?[i] ?? valueType));
            Count += shape.Count;
        }
    }

    /// <summary>
    /// Raised once per optimizer step when the gradients of all micro-batches are complete. Handlers add contributions
    /// that come once per step, such as a penalty. It may be raised while a graph is captured, so that handlers must
    /// only launch kernels.
    /// </summary>
    public event Action? Accumulated;

    /// <summary>
    /// Raised when training starts over from the current masters. Handlers reset state that depends on past gradients.
    /// </summary>
    public event Action? Restarted;

    /// <summary>
    /// Raised when elements of a parameter have moved within it. Handlers move their state along with the elements.
    /// </summary>
    internal event Action<MovedElements>? Moved;

    /// <summary>Raised after the masters have changed. Handlers recompute what they derive from them.</summary>
    public event Action? Changed;

    /// <summary>The device of all buffers.</summary>
    public Device Device { get; }

    /// <summary>
    /// The values that change from step to step in training: learning rate, loss scale, and the position of dropout's
    /// random numbers.
    /// </summary>
    public StepState StepState { get; }

    /// <summary>The parameters, in the order in which they are stored.</summary>
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>The number of trainable scalars, without padding.</summary>
    public long Count { get; }

    /// <summary>The buffers of the F32 masters, in which the parameters lie one after another.</summary>
    public IReadOnlyList<Tensor> Masters => _masters;

    /// <summary>
    /// The gradient buffers, parallel to <see cref="Masters"/>; empty until <see cref="EnableGradients"/>.
    /// </summary>
    public IReadOnlyList<Tensor> Gradients => _gradients;

    /// <summary>The factors on the learning rate, parallel to <see cref="Masters"/>.</summary>
    public IReadOnlyList<double> Rates => _rates;

    /// <summary>
    /// The factors that make low-rank terms of an adapter, where both of a term train as they are and nothing is
    /// between them.
    /// </summary>
    public IReadOnlyList<FactorPair> Pairs { get; internal set; } = [];

    /// <summary>
    /// The low-rank terms of an adapter whose left factor trains as it is, while the right one is frozen.
    /// </summary>
    public IReadOnlyList<FactorPair> LeftOnly { get; internal set; } = [];

    /// <summary>
    /// The weights of all ranks, of which the parameters are this rank's parts, one of each unit; null: they are whole.
    /// </summary>
    internal ShardedWeights? Shards { get; init; }

    /// <summary>
    /// The names of the modules that the parameters belong to, in the same order; empty: their names without the last
    /// part.
    /// </summary>
    internal IReadOnlyList<string> Modules { get; set; } = [];

    /// <summary>
    /// Allocates gradients, filled with zeros, which backward then adds to. Without this call nothing trains.
    /// </summary>
    public void EnableGradients()
    {
        if (_gradients.Count > 0)
            return;
        foreach (Tensor master in _masters)
            _gradients.Add(Tensor.Zeros(Device, master.Shape));
        foreach ((Parameter parameter, (int Buffer, int Offset) place) in _parameters.Zip(_places))
            parameter.Gradient = Part(_gradients, place, parameter.Master.Shape);
    }

    /// <summary>Sets all gradients to zero.</summary>
    public void ClearGradients()
    {
        foreach (Tensor gradient in _gradients)
            gradient.Clear();
    }

    /// <summary>
    /// Refreshes the compute-type values and raises <see cref="Changed"/>. Call it after writing masters.
    /// </summary>
    public void NotifyChanged()
    {
        foreach (Parameter parameter in _parameters)
            parameter.Refresh();
        Changed?.Invoke();
    }

    /// <summary>
    /// Raises <see cref="Restarted"/>. Call it after setting masters to values that did not come from a step.
    /// </summary>
    public void NotifyRestarted() => Restarted?.Invoke();

    /// <summary>
    /// Raises <see cref="Moved"/>. Call it after writing a master whose elements have other places than before.
    /// </summary>
    /// <param name="parameter">A parameter of this set.</param>
    /// <param name="from">For each element its former index in the parameter, or −1 if it is new.</param>
    internal void NotifyMoved(Parameter parameter, IReadOnlyList<int> from) =>
        Moved?.Invoke(new MovedElements(parameter, _parameters.IndexOf(parameter), from));

    /// <summary>Raises <see cref="Accumulated"/>. Call it once the gradients of a step are in.</summary>
    internal void NotifyAccumulated() => Accumulated?.Invoke();

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Parameter parameter in _parameters)
            parameter.Dispose();
        foreach (Tensor buffer in _masters.Concat(_gradients))
            buffer.Dispose();
        StepState.Dispose();
    }

    /// <summary>
    /// Returns a parameter's share of buffers with the layout of <see cref="Masters"/>. The caller disposes it.
    /// </summary>
    internal Tensor PartOf(IReadOnlyList<Tensor> buffers, int parameter) =>
        Part(buffers, _places[parameter], _parameters[parameter].Shape);

    /// <summary>
    /// Returns the number of the buffer that holds a parameter, and the elements before it there.
    /// </summary>
    internal (int Buffer, int Offset) PlaceOf(int parameter) => _places[parameter];

    /// <summary>Returns the name of the module that a parameter belongs to.</summary>
    internal string ModuleOf(int parameter)
    {
        if (Modules.Count > 0)
            return Modules[parameter];
        string name = _parameters[parameter].Name;
        return name.LastIndexOf('.') is var end and > 0 ? name[..end] : name;
    }

    /// <summary>Returns a parameter's factor on the learning rate.</summary>
    internal double RateOf(int parameter) => _rates[_places[parameter].Buffer];

    private static Tensor Part(IReadOnlyList<Tensor> buffers, (int Buffer, int Offset) place, Shape shape)
    {
        using Tensor rows = buffers[place.Buffer].Rows(place.Offset, checked((int)shape.Count));
        return rows.View(shape);
    }
}
