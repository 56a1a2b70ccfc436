using Spectral.Kernels;
using Spectral.Training.Adapters.Expressions;
using Spectral.Training.Calibration;
using Spectral.Training.Numerics;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters;

/// <summary>
/// What <see cref="AdapterMethod.Initialize"/> works on: one layer's base weight and its factors, which hold what their
/// <see cref="Start"/> says.
/// </summary>
/// <param name="Module">The layer.</param>
/// <param name="Weight">Frozen base weight [out, in] in the compute type.</param>
/// <param name="Factors">F32 tensors by factor name.</param>
/// <param name="Options">The settings, any per-module pattern applied.</param>
public sealed record AdapterStart(
    ModuleShape Module,
    Tensor Weight,
    IReadOnlyDictionary<string, Parameter> Factors,
    AdapterOptions Options
)
{
    private readonly ICalibration? _calibration;

    /// <summary>The model on data.</summary>
    /// <exception cref="InvalidOperationException">None was asked for: the method does not say <see
    /// cref="AdapterMethod.StartsFromData"/>.</exception>
    public ICalibration Calibration
    {
        get => _calibration ?? throw new InvalidOperationException("the method starts from data and does not say so");
        internal init => _calibration = value;
    }

    /// <summary>The factor to fill.</summary>
    public Tensor this[string factor] => Factors[factor].Master;

    /// <summary>
    /// A random stream of this module's own, so that start values do not depend on the order of construction.
    /// </summary>
    public ulong Stream(string tag) => RandomStream.For($"{Module.Name}.{tag}");
}
