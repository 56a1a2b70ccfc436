using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Distributed.Sharding;

namespace Spectral.Training.Optim;

/// <summary>
/// A named tensor of a model or adapter: frozen, as it is or in a few bits per element, or trained through an F32
/// master.
/// </summary>
public sealed class Parameter : IDisposable
{
    private readonly Tensor? _master;
    private readonly Device? _device;
    private QuantizedMatrix? _quantized;
    private Func<QuantizedMatrix>? _restore;
    private Tensor? _value;
    private readonly TrainedRows? _trainedRows;
    private readonly ShardedTensor? _shard;
    private readonly ShardedMatrix? _shardedMatrix;
    private Tensor? _gradient;
    private ColumnRange? _place;

    /// <summary>Creates a frozen parameter, which takes ownership of the tensor.</summary>
    /// <param name="name">The name of the tensor.</param>
    /// <param name="value">The value in the compute type.</param>
    public Parameter(string name, Tensor value)
    {
        Name = name;
        (_value, DType) = (value, value.DType);
        Shape = value.Shape;
    }

    /// <summary>Creates a frozen matrix in a few bits per element, which takes ownership of it.</summary>
    /// <param name="name">The name of the tensor.</param>
    /// <param name="quantized">The matrix.</param>
    /// <param name="type">The compute type, to which values are rounded when they are read.</param>
    internal Parameter(string name, QuantizedMatrix quantized, DType type)
    {
        Name = name;
        (_quantized, _device, DType) = (quantized, quantized.Device, type);
        Shape = (quantized.Rows, quantized.Columns);
    }

    /// <summary>Creates a parameter of which each rank keeps a part, and which the weights of the shard own.</summary>
    /// <param name="name">The name of the tensor.</param>
    /// <param name="shard">Its place among the weights of all ranks.</param>
    internal Parameter(string name, ShardedTensor shard)
    {
        (Name, Shape, DType) = (name, shard.Shape, shard.Unit.Own.DType);
        (_shard, _device) = (shard, shard.Unit.Own.Device);
    }

    /// <summary>Creates a quantised matrix of which each rank keeps a part, and which the weights of the shard
    /// own.</summary>
    /// <param name="name">The name of the tensor.</param>
    /// <param name="shard">Its place among the weights of all ranks.</param>
    /// <param name="shape">The rows and columns.</param>
    /// <param name="type">The compute type, to which values are rounded when they are read.</param>
    internal Parameter(string name, ShardedMatrix shard, Shape shape, DType type)
    {
        (Name, Shape, DType) = (name, shape, type);
        (_shardedMatrix, _device) = (shard, shard.Unit.Own.Device);
    }

    internal Parameter(string name, Tensor master, DType valueType)
        : this(name, valueType == DType.F32 ? master.Share() : Tensor.Empty(master.Device, master.Shape, valueType))
    {
        _master = master;
    }

    /// <summary>The name of the tensor, e.g. <c>model.layers.0.self_attn.q_proj.weight</c>.</summary>
    public string Name { get; }

    /// <summary>The shape of the value.</summary>
    public Shape Shape { get; }

    /// <summary>The compute type, to which values are rounded when kernels read them.</summary>
    public DType DType { get; }

    /// <summary>The device of the value.</summary>
    public Device Device => _device ?? Columns.Matrix.Device;

    /// <summary>Whether the value is kept in a few bits per element, and no tensor holds it.</summary>
    public bool IsQuantized =>
        StandIn?.IsQuantized ?? (_quantized is not null || _restore is not null || _shardedMatrix is not null);

    /// <summary>
    /// Whether each rank keeps a part. <see cref="Value"/> is gathered then, and stays only until other weights are
    /// read.
    /// </summary>
    internal bool IsSharded => StandIn?.IsSharded ?? (_shard is not null || _shardedMatrix is not null);

    /// <summary>
    /// The device memory of the value and of the master, if it is another one, in bytes; of the part of this rank, if
    /// the others have the rest.
    /// </summary>
    public long Bytes =>
        _shard?.Bytes
        ?? _shardedMatrix?.Bytes
        ?? (_quantized?.Bytes ?? (_restore is null ? Shape.Count * DType.Size() : StandIn?.Bytes ?? 0))
            + (_master is not null && DType != DType.F32 ? _master.Bytes : 0);

    /// <summary>The value that kernels read, in the compute type. In F32 this is the master itself.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is a weight that an attached adapter has moved into a wider matrix, in which case detach the adapter first;
    /// or it is quantised (<see cref="IsQuantized"/>), in which case <see cref="ToArray"/> has its values.
    /// </exception>
    public Tensor Value =>
        StandIn?.Value
        ?? _shard?.Value
        ?? _value
        ?? throw new InvalidOperationException(
            !IsQuantized
                ? $"{Name} is part of a wider matrix while an adapter is attached"
                : $"{Name} is quantised, so that no tensor holds its value"
        );

    /// <summary>The value of a matrix, in its own tensor or as columns of a wider one.</summary>
    internal ColumnRange Columns => _place ?? Value;

    /// <summary>The frozen matrix that products read: quantised, in its own tensor, or part of a wider one.</summary>
    internal FrozenWeight Frozen => StandIn?.Frozen ?? (Quantized is { } matrix ? matrix : Columns);

    /// <summary>The F32 values that the optimizer updates; for a frozen parameter the value itself.</summary>
    public Tensor Master => StandIn?.Master ?? _master ?? Value;

    /// <summary>The gradient, F32 of the value's shape; null if the parameter does not train.</summary>
    public Tensor? Gradient
    {
        get
        {
            if (StandIn is { } other)
                return other.Gradient;
            return _shard is null ? _gradient : _shard.Gradient;
        }
        internal set => _gradient = value;
    }

    /// <summary>
    /// Whether it does not train in the current step, so that backward may leave its gradient as it is, and need not
    /// come down to it.
    /// </summary>
    internal bool IsPaused { get; set; }

    /// <summary>Whether backward has to compute a gradient for it in the current step.</summary>
    public bool Trains =>
        StandIn?.Trains ?? _shard?.Trains ?? (_gradient is not null ? !IsPaused : Rows is { Trains: true });

    /// <summary>
    /// The parameter that replaces a base weight for all readers while an adapter with its own values is attached. The
    /// weight keeps its memory.
    /// </summary>
    internal Parameter? StandIn { get; set; }

    /// <summary>The rows that train, if only some do; there is no gradient of the whole tensor then.</summary>
    internal TrainedRows? Rows
    {
        get => StandIn is { } other ? other.Rows : _trainedRows;
        init => _trainedRows = value;
    }

    /// <summary>Copies the master's values, or those that a quantised matrix stands for, to the host.</summary>
    public float[] ToArray()
    {
        if (_place is null && !IsQuantized)
            return Master.ToArray();
        using Tensor copy = Dense();
        return copy.ToArray();
    }

    /// <summary>Returns a frozen parameter with the same value in the same memory.</summary>
    /// <param name="name">The name of its tensor.</param>
    internal Parameter SharedAs(string name) =>
        _shard is null ? new Parameter(name, Value.Share()) : new Parameter(name, _shard);

    /// <summary>
    /// Returns the value in a tensor, which the caller disposes: the parameter's own, or a copy where it has none.
    /// </summary>
    internal Tensor Dense() => IsQuantized || _place is not null ? Copy() : Value.Share();

    /// <summary>Copies a matrix into a tensor of its own in the compute type, which the caller disposes.</summary>
    internal Tensor Copy()
    {
        if (StandIn is not null)
            return StandIn.Copy();
        if (Quantized is not { } matrix)
            return Columns.Copy();
        var values = Tensor.Empty(matrix.Device, Shape, DType);
        matrix.Dequantize(0, values);
        return values;
    }

    private QuantizedMatrix? Quantized => _shardedMatrix?.Value ?? (_quantized ??= _restore?.Invoke());

    /// <summary>
    /// Releases the memory of a quantised matrix, which is made anew when somebody reads it.
    /// </summary>
    /// <param name="restore">Makes the same matrix.</param>
    internal void Release(Func<QuantizedMatrix> restore)
    {
        _quantized?.Dispose();
        (_quantized, _restore) = (null, restore);
    }

    /// <summary>
    /// Releases the memory of a frozen matrix in favour of the same values elsewhere. The caller keeps these until
    /// <see cref="MoveBack"/>.
    /// </summary>
    internal void MoveTo(ColumnRange place)
    {
        Value.Dispose();
        (_value, _place) = (null, place);
    }

    /// <summary>Copies the values back into memory of their own, bit for bit.</summary>
    internal void MoveBack()
    {
        if (_place is { } place)
            (_value, _place) = (place.Copy(), null);
    }

    /// <summary>Rounds the master to the compute type. In F32 there is nothing to do.</summary>
    internal void Refresh()
    {
        if (_master is not null && Value.DType != DType.F32)
            Cast.Run(_master, Value);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _value?.Dispose();
        _quantized?.Dispose();
        _master?.Dispose();
        _gradient?.Dispose();
    }
}
