using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>What an optimizer works with: parameters, settings, and the state that it declares here.</summary>
internal sealed class OptimizerRun : IDisposable
{
    private readonly OptimizerMethod _method;
    private readonly IReadOnlyDictionary<string, double> _settings;
    private readonly List<StateTensor> _states = [];
    private readonly Dictionary<string, IReadOnlyList<Tensor>> _buffers = [];
    private readonly List<Tensor> _memory = [];
    private readonly List<Tensor> _scratch = [];

    public OptimizerRun(
        ParameterSet parameters,
        OptimizerMethod method,
        AdamWOptions options,
        IReadOnlyDictionary<string, double> settings
    )
    {
        (Parameters, _method, Options, _settings) = (parameters, method, options, settings);
    }

    /// <summary>The name of the optimizer, for messages.</summary>
    public string Method => _method.Name;

    /// <summary>The parameters to train.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>The common settings. Kernels read them, and the learning rate, from <see cref="StepState"/>.</summary>
    public AdamWOptions Options { get; }

    public Device Device => Parameters.Device;

    public StepState StepState => Parameters.StepState;

    /// <summary>
    /// The sums of token losses of the step's probes, [probes, micro-batches] F32; null without probes.
    /// </summary>
    public Tensor? Losses { get; set; }

    /// <summary>The state as it is saved.</summary>
    public IReadOnlyList<StateTensor> States => _states;

    /// <summary>The bytes of all state on the device.</summary>
    public long StateBytes => _memory.Sum(tensor => tensor.Bytes);

    /// <summary>Returns the value of one of the optimizer's own settings.</summary>
    public double Setting(string name) => _method.ValueOf(name, _settings);

    /// <summary>Returns whether a choice among the optimizer's own settings has a value.</summary>
    public bool Chose(string name, string value) =>
        _method.Settings.First(setting => setting.Name == name).Describe(Setting(name)) == value;

    /// <summary>
    /// Declares F32 state for every value, in buffers parallel to <see cref="ParameterSet.Masters"/>, zeros at the
    /// start.
    /// </summary>
    /// <param name="name">The name of the state, e.g. <c>momentum</c>. It is saved as NAME.PARAMETER.</param>
    public IReadOnlyList<Tensor> PerBuffer(string name)
    {
        Tensor[] buffers = [.. Parameters.Masters.Select(master => Tensor.Zeros(Device, master.Shape))];
        _memory.AddRange(buffers);
        _buffers.Add(name, buffers);
        for (int i = 0; i < Parameters.Parameters.Count; i++)
        {
            (int index, Parameter parameter) = (i, Parameters.Parameters[i]);
            _states.Add(
                new StateTensor(
                    $"{name}.{parameter.Name}",
                    parameter.Shape,
                    DType.F32,
                    () => Parameters.PartOf(buffers, index)
                )
            );
        }

        return buffers;
    }

    /// <summary>Returns state that <see cref="PerBuffer"/> declared.</summary>
    public IReadOnlyList<Tensor> Buffers(string name) => _buffers[name];

    /// <summary>Declares state of one parameter, zeros at the start.</summary>
    /// <param name="name">The name of the state. It is saved as NAME.PARAMETER.</param>
    /// <param name="parameter">The parameter.</param>
    /// <param name="shape">The shape of the state; null: that of the parameter.</param>
    /// <param name="type">The type of the elements. Narrower codes are packed into I32.</param>
    public Tensor PerParameter(string name, Parameter parameter, Shape? shape = null, DType type = DType.F32) =>
        State($"{name}.{parameter.Name}", shape ?? parameter.Shape, type);

    /// <summary>Declares state of each parameter of a batch, zeros at the start.</summary>
    /// <param name="name">The name of the state. It is saved as NAME.PARAMETER.</param>
    /// <param name="batch">The parameters.</param>
    /// <param name="shape">The shape of the state of one of them.</param>
    /// <param name="type">The type of the elements. Narrower codes are packed into I32.</param>
    /// <returns>The state of all, one after another: a dimension more than the shape has.</returns>
    public Tensor PerBatch(string name, ParameterBatch batch, Shape shape, DType type = DType.F32)
    {
        Span<int> dimensions = stackalloc int[shape.Rank + 1];
        dimensions[0] = batch.Count;
        for (int i = 0; i < shape.Rank; i++)
            dimensions[i + 1] = shape[i];
        var all = Tensor.Zeros(Device, Shape.Of(dimensions), type);
        _memory.Add(all);
        for (int i = 0; i < batch.Count; i++)
        {
            int place = i;
            string parameter = Parameters.Parameters[batch.Indices[i]].Name;
            _states.Add(new StateTensor($"{name}.{parameter}", shape, type, () => Part(all, place, shape)));
        }

        return all;

        static Tensor Part(Tensor all, int place, Shape shape)
        {
            using Tensor part = all.Rows(place, 1);
            return part.View(shape);
        }
    }

    /// <summary>Declares state of the whole optimizer, zeros at the start.</summary>
    /// <param name="name">The name that it is saved under, without a point, unlike that of any parameter's.</param>
    /// <param name="shape">The shape.</param>
    /// <param name="type">The type of the elements.</param>
    public Tensor State(string name, Shape shape, DType type = DType.F32)
    {
        var tensor = Tensor.Zeros(Device, shape, type);
        _memory.Add(tensor);
        _states.Add(new StateTensor(name, shape, type, tensor.Share));
        return tensor;
    }

    /// <summary>Allocates memory for intermediate results, which is not saved.</summary>
    public Tensor Scratch(Shape shape, DType type = DType.F32)
    {
        var tensor = Tensor.Empty(Device, shape, type);
        _scratch.Add(tensor);
        return tensor;
    }

    /// <summary>Returns one of the tensors that are stacked along the first dimension, without copying it.</summary>
    public Tensor Part(Tensor stacked, int index)
    {
        using Tensor row = stacked.Rows(index, 1);
        Tensor part = row.View((stacked.Dim(1), stacked.Dim(2)));
        _scratch.Add(part);
        return part;
    }

    /// <summary>
    /// Moves the state of elements that have moved within a parameter: all that has one F32 per value. Other state,
    /// such as sums over rows, stays as it is.
    /// </summary>
    public void Move(MovedElements moved)
    {
        foreach (StateTensor state in _states.Where(state => state.IsPerValueOf(moved.Parameter)))
        {
            using Tensor values = state.Open();
            moved.Apply(values);
        }
    }

    /// <summary>Moves all state to the host until it is used again.</summary>
    public void Offload()
    {
        foreach (Tensor tensor in _memory)
            tensor.Offload();
    }

    /// <summary>Sets all state to zero.</summary>
    public void Clear()
    {
        foreach (Tensor tensor in _memory)
            tensor.Clear();
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _memory.Concat(_scratch))
            tensor.Dispose();
    }
}
