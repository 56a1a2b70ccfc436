using Spectral.Kernels;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>A constant tensor that all expressions of the same structure share.</summary>
internal sealed class ConstantTable : Expression
{
    private readonly Factor _beside;
    private readonly object _structure;
    private readonly Func<float[]> _values;
    private Device? _rented;
    private Tensor? _table;

    /// <param name="beside">A factor; the table is on its device.</param>
    /// <param name="shape">The shape of the table.</param>
    /// <param name="structure">A key that is equal for equal values in the same shape.</param>
    /// <param name="values">Computes the elements, row by row. Called once per structure.</param>
    public ConstantTable(Factor beside, Shape shape, object structure, Func<float[]> values)
        : base(shape) => (_beside, _structure, _values) = (beside, (structure, shape), values);

    internal override bool IsStored => true;

    private protected override Device Device => _beside.Parameter.Master.Device;

    // Values from the host must be kept, because a captured step's graph could not recreate them.
    internal override void Forget() { }

    internal override void Release()
    {
        if (_rented is not null)
            SharedTables<Tensor>.Return(_rented, _structure);
        (_rented, _table) = (null, null);
    }

    private protected override Tensor Compute()
    {
        if (_table is null)
        {
            (_table, _rented) = (
                SharedTables<Tensor>.Rent(Device, _structure, () => Tensor.From(Device, _values(), Shape)),
                Device
            );
        }

        return _table;
    }

    protected override void Evaluate(Tensor value) => value.CopyFrom(Compute());

    protected override void Backward(Tensor gradient) { }
}
