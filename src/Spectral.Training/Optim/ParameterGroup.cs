using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>The trainable parameters of a model or adapter, laid out one after another in a few large buffers.</summary>
/// <remarks>
/// One buffer of masters (and one of gradients, and two of optimizer state) means one kernel launch for the norm and one for the update,
/// whatever the number of parameters. Each parameter starts at a multiple of 64 elements; the padding stays zero.
/// </remarks>
public sealed class ParameterGroup : IDisposable
{
    private const long Alignment = 64;

    /// <summary>A buffer holds at most this many elements (1 GiB) unless one parameter alone is larger: offsets stay within 32 bits.</summary>
    private const long BufferLimit = 1L << 28;

    private readonly List<Tensor> _masters = [];
    private readonly List<Tensor> _gradients = [];
    private readonly List<(int Buffer, int Offset)> _places = [];
    private readonly List<Parameter> _parameters = [];

    /// <summary>Allocates zeroed masters for the given names and shapes.</summary>
    /// <param name="device">Where they live.</param>
    /// <param name="shapes">Names and shapes, in the order in which they are stored.</param>
    /// <param name="valueType">The compute type of <see cref="Parameter.Value"/>.</param>
    public ParameterGroup(Device device, IEnumerable<(string Name, Shape Shape)> shapes, DType valueType = DType.F32)
    {
        Device = device;
        StepState = new StepState(device);
        var wanted = shapes.ToList();
        var sizes = new List<long>();
        foreach (var (_, shape) in wanted)
        {
            var length = (shape.Count + Alignment - 1) / Alignment * Alignment;
            if (sizes.Count == 0 || sizes[^1] + length > BufferLimit)
                sizes.Add(0);
            _places.Add((sizes.Count - 1, checked((int)sizes[^1])));
            sizes[^1] += length;
        }
        foreach (var size in sizes)
            _masters.Add(Tensor.Zeros(device, checked((int)size)));
        foreach (var ((name, shape), place) in wanted.Zip(_places))
        {
            _parameters.Add(new Parameter(name, Part(_masters, place, shape), valueType));
            Count += shape.Count;
        }
    }

    /// <summary>Raised after the masters have changed, so that whoever keeps derived copies can renew them.</summary>
    public event Action? Changed;

    /// <summary>The device.</summary>
    public Device Device { get; }

    /// <summary>What changes from step to step of whoever trains the group: learning rate, loss scale, dropout's random numbers.</summary>
    public StepState StepState { get; }

    /// <summary>The parameters, in order.</summary>
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>Number of trainable scalars, padding not counted.</summary>
    public long Count { get; }

    /// <summary>The master buffers.</summary>
    public IReadOnlyList<Tensor> Masters => _masters;

    /// <summary>The gradient buffers, parallel to <see cref="Masters"/>; empty until <see cref="EnableGradients"/>.</summary>
    public IReadOnlyList<Tensor> Gradients => _gradients;

    /// <summary>Allocates zeroed gradients; from now on backward fills them. Without this call nothing trains.</summary>
    public void EnableGradients()
    {
        if (_gradients.Count > 0)
            return;
        foreach (var master in _masters)
            _gradients.Add(Tensor.Zeros(Device, master.Shape));
        foreach (var (parameter, place) in _parameters.Zip(_places))
            parameter.Gradient = Part(_gradients, place, parameter.Master.Shape);
    }

    /// <summary>Sets all gradients to zero.</summary>
    public void ClearGradients()
    {
        foreach (var gradient in _gradients)
            gradient.Clear();
    }

    /// <summary>To be called after masters were written: renews the compute-type values and raises <see cref="Changed"/>.</summary>
    public void NotifyChanged()
    {
        foreach (var parameter in _parameters)
            parameter.Refresh();
        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var parameter in _parameters)
            parameter.Dispose();
        foreach (var buffer in _masters.Concat(_gradients))
            buffer.Dispose();
        StepState.Dispose();
    }

    private static Tensor Part(List<Tensor> buffers, (int Buffer, int Offset) place, Shape shape)
    {
        using var rows = buffers[place.Buffer].Rows(place.Offset, checked((int)shape.Count));
        return rows.View(shape);
    }
}
