using Spectral.Kernels;
using Spectral.Training.Optim;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>A tensor that an adapter stores: the leaf of all expressions.</summary>
public sealed class Factor : Expression
{
    /// <summary>What the name of a frozen copy of start values ends in.</summary>
    internal const string StartSuffix = ".start";

    private Parameter? _parameter;

    internal Factor(string name, Shape shape, bool trains, Start start, bool isShared = false)
        : base(shape) => (Name, Trains, Varies, Start, IsShared) = (name, trains, trains, start, isShared);

    /// <summary>Its name in the file, behind the module's path unless it is shared.</summary>
    public string Name { get; }

    /// <summary>How it begins, unless the method says otherwise.</summary>
    public Start Start { get; }

    /// <summary>Whether all modules of the adapter have this one tensor in common.</summary>
    public bool IsShared { get; }

    /// <summary>Its factor of the learning rate.</summary>
    public double Rate { get; internal init; } = 1;

    /// <summary>Whether it belongs to the adapter; what only a schedule keeps is not stored with it.</summary>
    internal bool IsSaved { get; init; } = true;

    /// <summary>The memory behind it.</summary>
    /// <exception cref="InvalidOperationException">It is described only, and not attached to a model.</exception>
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
