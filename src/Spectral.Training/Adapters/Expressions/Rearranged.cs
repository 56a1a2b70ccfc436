using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>The elements of x rearranged by a fixed table, which all expressions of the same structure share.</summary>
internal sealed class Rearranged : Expression
{
    private readonly Expression _x;
    private readonly object _structure;
    private readonly Func<(int[] Index, float[]? Factors)> _table;
    private Device? _rented;
    private IndexTable? _indices;

    /// <param name="x">The expression whose elements are taken.</param>
    /// <param name="shape">The shape of the result.</param>
    /// <param name="structure">A key that is equal for equal tables over the same number of elements.</param>
    /// <param name="table">
    /// Returns, for each element of the result, the index of its source, −1 for zero, and optionally a factor. Called
    /// once per structure.
    /// </param>
    public Rearranged(Expression x, Shape shape, object structure, Func<(int[] Index, float[]? Factors)> table)
        : base(shape, x) => (_x, _structure, _table) = (x, (structure, x.Shape.Count), table);

    internal override void Release()
    {
        base.Release();
        if (_rented is not null)
            SharedTables<IndexTable>.Return(_rented, _structure);
        (_rented, _indices) = (null, null);
    }

    protected override void Evaluate(Tensor value) => Rearrange.Forward(_x.Value, Indices(value.Device), value);

    protected override void Backward(Tensor gradient)
    {
        if (_x.GradientBuffer(out bool adds) is { } dx)
            Rearrange.Backward(gradient, Indices(gradient.Device), dx, adds);
    }

    private IndexTable Indices(Device device)
    {
        if (_indices is null)
            (_indices, _rented) = (SharedTables<IndexTable>.Rent(device, _structure, Make), device);
        return _indices;

        IndexTable Make()
        {
            (int[] index, float[]? factors) = _table();
            return new IndexTable(device, index, checked((int)_x.Shape.Count), factors);
        }
    }
}
