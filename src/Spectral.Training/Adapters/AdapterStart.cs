using Spectral.Kernels;
using Spectral.Kernels.Ops;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Calibration;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;
using Spectral.Training.Quantization;

namespace Spectral.Training.Adapters;

/// <summary>
/// One layer for <see cref="AdapterMethod.Initialize"/>: its base weight, and its factors, which already hold the
/// values of their <see cref="Start"/>.
/// </summary>
/// <param name="Module">The layer's name and size.</param>
/// <param name="Base">The frozen base weight [out, in].</param>
/// <param name="Factors">The factors, F32, by name.</param>
/// <param name="Options">The settings of this layer, with per-module patterns applied.</param>
public sealed record AdapterStart(
    ModuleShape Module,
    Parameter Base,
    IReadOnlyDictionary<string, Parameter> Factors,
    AdapterOptions Options
) : IDisposable
{
    private readonly ICalibration? _calibration;
    private readonly OriginalWeight? _original;
    private Tensor? _weight;

    /// <summary>The device of the weight and the factors.</summary>
    public Device Device => Base.Device;

    /// <summary>The base weight [out, in] as products and decompositions read it, quantised where it is.</summary>
    internal FrozenWeight Frozen => Base.IsQuantized ? Base.Frozen : Weight;

    /// <summary>
    /// The values of the base weight [out, in] in the compute type. Those of a quantised one are computed at the first
    /// use and kept until <see cref="Release"/>.
    /// </summary>
    public Tensor Weight => _weight ??= Base.Dense();

    /// <summary>Runs the model on data.</summary>
    /// <exception cref="InvalidOperationException">
    /// There is no calibration, because the method does not override <see cref="AdapterMethod.StartsFromData"/>.
    /// </exception>
    public ICalibration Calibration
    {
        get => _calibration ?? throw new InvalidOperationException("the method starts from data and does not say so");
        internal init => _calibration = value;
    }

    /// <summary>The weight before it was quantised.</summary>
    /// <exception cref="InvalidOperationException">
    /// There is none, because the method does not override <see cref="AdapterMethod.RequantizesBase"/>.
    /// </exception>
    internal OriginalWeight Original
    {
        get => _original ?? throw new InvalidOperationException("the method quantises weights and does not say so");
        init => _original = value;
    }

    /// <summary>The model's factor on embeddings of tokens that is none on virtual tokens; 1: there is none.</summary>
    internal float TokenScale { get; init; } = 1;

    /// <summary>The F32 values of a factor, to be filled.</summary>
    public Tensor this[string factor] => Factors[factor].Master;

    /// <summary>Frees the values of a quantised weight. A method that is done with one layer may do so early.</summary>
    public void Release()
    {
        _weight?.Dispose();
        _weight = null;
    }

    /// <inheritdoc/>
    public void Dispose() => Release();

    /// <summary>
    /// Returns a random stream of this module's own, so that start values do not depend on the order of construction.
    /// </summary>
    public ulong Stream(string tag) => RandomStream.For($"{Module.Name}.{tag}");
}
