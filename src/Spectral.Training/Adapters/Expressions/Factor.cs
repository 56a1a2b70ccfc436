using Spectral.Kernels;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// A tensor that an adapter stores. Factors are the leaves of all expressions, except those that hold places of a
/// matrix (<see cref="AdapterBuilder.Places"/>).
/// </summary>
public sealed class Factor : Expression
{
    /// <summary>The suffix of the name of a frozen copy of start values.</summary>
    internal const string StartSuffix = ".start";

    private Parameter? _parameter;

    internal Factor(string name, Shape shape, bool trains, Start start, bool isShared = false)
        : base(shape) => (Name, Trains, Varies, Start, IsShared) = (name, trains, trains, start, isShared);

    /// <summary>The name in the file, after the module's path unless the factor is shared.</summary>
    public string Name { get; }

    /// <summary>The start values, unless the method computes others.</summary>
    public Start Start { get; }

    /// <summary>Whether all modules of the adapter share this one tensor.</summary>
    public bool IsShared { get; }

    /// <summary>The factor on the learning rate.</summary>
    public double Rate { get; internal init; } = 1;

    /// <summary>Whether the tensor is stored with the adapter. State of a schedule is not.</summary>
    internal bool IsSaved { get; init; } = true;

    /// <summary>The matrix [out, in] of which the tensor holds places, I32; null: it holds numbers, F32.</summary>
    internal Shape? PlacesIn { get; init; }

    /// <summary>The parameter that holds the values.</summary>
    /// <exception cref="InvalidOperationException">
    /// The adapter is only described, and not attached to a model.
    /// </exception>
    public Parameter Parameter
    {
        get => _parameter ?? throw new InvalidOperationException($"{Name} has no values yet");
        internal set => _parameter = value;
    }

    internal override bool IsStored => true;

    private protected override Device Device => Parameter.Master.Device;

    /// <inheritdoc/>
    public override Tensor? GradientBuffer(out bool accumulate)
    {
        accumulate = true;
        return Trains ? Parameter.Gradient : null;
    }

    internal override void Forget() { }

    private protected override Tensor Compute() => Parameter.Master;

    /// <inheritdoc/>
    protected override void Evaluate(Tensor value) => value.CopyFrom(Parameter.Master);

    /// <inheritdoc/>
    protected override void Backward(Tensor gradient) { }
}
