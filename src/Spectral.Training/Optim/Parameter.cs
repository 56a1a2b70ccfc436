using Spectral.Kernels;

namespace Spectral.Training;

/// <summary>A named tensor of a model or adapter: frozen, or trained through an F32 master.</summary>
public sealed class Parameter : IDisposable
{
    private readonly Tensor? _master;

    /// <summary>A frozen parameter; takes over the handle.</summary>
    public Parameter(string name, Tensor value)
    {
        Name = name;
        Value = value;
    }

    internal Parameter(string name, Tensor master, DType valueType)
        : this(name, valueType == DType.F32 ? master.Share() : Tensor.Empty(master.Device, master.Shape, valueType))
    {
        _master = master;
    }

    /// <summary>E.g. <c>model.layers.0.self_attn.q_proj.weight</c>.</summary>
    public string Name { get; }

    /// <summary>What kernels read, in the compute type. In F32 this is the master itself.</summary>
    public Tensor Value { get; }

    /// <summary>The F32 values the optimizer updates; the value itself for a frozen parameter.</summary>
    public Tensor Master => _master ?? Value;

    /// <summary>F32, shape of the value; null for everything that does not train.</summary>
    public Tensor? Gradient { get; internal set; }

    /// <summary>Whether backward must produce a gradient for it.</summary>
    public bool Trains => Gradient is not null;

    /// <summary>Rounds the master to the compute type; nothing to do in F32.</summary>
    internal void Refresh()
    {
        if (_master is not null && Value.DType != DType.F32)
            Cast.Run(_master, Value);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Value.Dispose();
        _master?.Dispose();
        Gradient?.Dispose();
    }
}
