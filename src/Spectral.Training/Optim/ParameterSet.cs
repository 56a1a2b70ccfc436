using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// The trainable parameters of a model or adapter, laid out one after another in a few large buffers.
/// </summary>
/// <remarks>
/// One buffer of masters (and one of gradients, and two of optimizer state) means one kernel launch for the norm and
/// one for the update, whatever the number of parameters; a buffer holds parameters of one learning-rate factor. Each
/// parameter starts at a multiple of 64 elements; the padding stays zero.
/// </remarks>
public sealed class ParameterSet : IDisposable
{
    private const long Alignment = 64;

    /// <summary>
    /// A buffer holds at most this many elements (1 GiB) unless one parameter alone is larger: offsets stay within 32
    /// bits.
    /// </summary>
    private const long BufferLimit = 1L << 28;

    private readonly List<Tensor> _masters = [];
    private readonly List<Tensor> _gradients = [];
    private readonly List<double> _rates = [];
    private readonly List<(int Buffer, int Offset)> _places = [];
    private readonly List<Parameter> _parameters = [];

    /// <summary>Allocates zeroed masters for the given names and shapes.</summary>
    /// <param name="device">Where they live.</param>
    /// <param name="shapes">Names and shapes, in the order in which they are stored.</param>
    /// <param name="valueType">The compute type of <see cref="Parameter.Value"/>.</param>
    /// <param name="rates">Each parameter's factor of the learning rate, in the same order, above 0; null: 1 for
    /// all.</param>
    /// <param name="types">Each parameter's compute type, likewise; null: <paramref name="valueType"/> for all.</param>
    /// <exception cref="ArgumentException">There are not as many factors or types as shapes.</exception>
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
    /// Raised once per optimizer step when the gradients of all micro-batches are in, for what is added to them once,
    /// such as a penalty. It may be raised while a graph is captured: what is done then must be launches alone.
    /// </summary>
    public event Action? Accumulated;

    /// <summary>
    /// Raised when training starts over from the present masters: whoever keeps state of past gradients forgets it.
    /// </summary>
    public event Action? Restarted;

    /// <summary>Raised after the masters have changed, so that whoever keeps derived copies can renew them.</summary>
    public event Action? Changed;

    /// <summary>The device.</summary>
    public Device Device { get; }

    /// <summary>
    /// What changes from step to step while the parameters train: learning rate, loss scale, dropout's random numbers.
    /// </summary>
    public StepState StepState { get; }

    /// <summary>The parameters, in order.</summary>
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>Number of trainable scalars, padding not counted.</summary>
    public long Count { get; }

    /// <summary>The master buffers.</summary>
    public IReadOnlyList<Tensor> Masters => _masters;

    /// <summary>
    /// The gradient buffers, parallel to <see cref="Masters"/>; empty until <see cref="EnableGradients"/>.
    /// </summary>
    public IReadOnlyList<Tensor> Gradients => _gradients;

    /// <summary>Factors of the learning rate, parallel to <see cref="Masters"/>.</summary>
    public IReadOnlyList<double> Rates => _rates;

    /// <summary>
    /// Allocates zeroed gradients; from now on backward fills them. Without this call nothing trains.
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
    /// To be called after masters were written: renews the compute-type values and raises <see cref="Changed"/>.
    /// </summary>
    public void NotifyChanged()
    {
        foreach (Parameter parameter in _parameters)
            parameter.Refresh();
        Changed?.Invoke();
    }

    /// <summary>
    /// To be called when masters were set to values that no step led to: raises <see cref="Restarted"/>.
    /// </summary>
    public void NotifyRestarted() => Restarted?.Invoke();

    /// <summary>Raises <see cref="Accumulated"/>.</summary>
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
    /// A parameter's part of buffers that are laid out as <see cref="Masters"/> are; the caller disposes it.
    /// </summary>
    internal Tensor PartOf(IReadOnlyList<Tensor> buffers, int parameter) =>
        Part(buffers, _places[parameter], _parameters[parameter].Shape);

    private static Tensor Part(IReadOnlyList<Tensor> buffers, (int Buffer, int Offset) place, Shape shape)
    {
        using Tensor rows = buffers[place.Buffer].Rows(place.Offset, checked((int)shape.Count));
        return rows.View(shape);
    }
}
