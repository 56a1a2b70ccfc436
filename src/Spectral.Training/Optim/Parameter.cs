using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>A named tensor of a model or adapter: frozen, or trained through an F32 master.</summary>
public sealed class Parameter : IDisposable
{
    private readonly Tensor? _master;
    private Tensor? _value;
    private readonly TrainedRows? _trainedRows;
    private Tensor? _gradient;
    private ColumnRange? _place;

    /// <summary>A frozen parameter; takes over the handle.</summary>
    public Parameter(string name, Tensor value)
    {
        Name = name;
        _value = value;
        Shape = value.Shape;
    }

    internal Parameter(string name, Tensor master, DType valueType)
        : this(name, valueType == DType.F32 ? master.Share() : Tensor.Empty(master.Device, master.Shape, valueType))
    {
        _master = master;
    }

    /// <summary>E.g. <c>model.layers.0.self_attn.q_proj.weight</c>.</summary>
    public string Name { get; }

    /// <summary>Dimensions of the value.</summary>
    public Shape Shape { get; }

    /// <summary>What kernels read, in the compute type. In F32 this is the master itself.</summary>
    /// <exception cref="InvalidOperationException">It is a weight that an attached adapter keeps among others; detach
    /// that first.</exception>
    public Tensor Value =>
        StandIn?.Value
        ?? _value
        ?? throw new InvalidOperationException($"{Name} is part of a wider matrix while an adapter is attached");

    /// <summary>The value of a matrix, wherever it is.</summary>
    internal ColumnRange Columns => _place ?? Value;

    /// <summary>The F32 values the optimizer updates; the value itself for a frozen parameter.</summary>
    public Tensor Master => StandIn?.Master ?? _master ?? Value;

    /// <summary>F32, shape of the value; null for everything that does not train.</summary>
    public Tensor? Gradient
    {
        get => StandIn is { } other ? other.Gradient : _gradient;
        internal set => _gradient = value;
    }

    /// <summary>Whether backward must produce a gradient for it.</summary>
    public bool Trains => Gradient is not null || Rows is { Gradient: not null };

    /// <summary>
    /// What everybody who asks a base weight for its values gets in its place while an adapter that carries its own is
    /// attached. The weight keeps its memory.
    /// </summary>
    internal Parameter? StandIn { get; set; }

    /// <summary>Set where only some rows train: then there is no gradient of the whole.</summary>
    internal TrainedRows? Rows
    {
        get => StandIn is { } other ? other.Rows : _trainedRows;
        init => _trainedRows = value;
    }

    /// <summary>The master's values on the host.</summary>
    public float[] ToArray()
    {
        if (_place is not { } place)
            return Master.ToArray();
        using Tensor copy = place.Copy();
        return copy.ToArray();
    }

    /// <summary>
    /// Gives up the memory of a frozen matrix for the same values elsewhere, which the caller keeps until
    /// <see cref="MoveBack"/>.
    /// </summary>
    internal void MoveTo(ColumnRange place)
    {
        Value.Dispose();
        (_value, _place) = (null, place);
    }

    /// <summary>Takes the values back into memory of its own, bit for bit.</summary>
    internal void MoveBack()
    {
        if (_place is { } place)
            (_value, _place) = (place.Copy(), null);
    }

    /// <summary>Rounds the master to the compute type; nothing to do in F32.</summary>
    internal void Refresh()
    {
        if (_master is not null && Value.DType != DType.F32)
            Cast.Run(_master, Value);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _value?.Dispose();
        _master?.Dispose();
        _gradient?.Dispose();
    }
}
