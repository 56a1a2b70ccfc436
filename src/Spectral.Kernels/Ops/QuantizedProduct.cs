namespace Spectral.Kernels.Ops;

/// <summary>Holds the operands of one product with a quantised weight: <c>Y (+)= X op(Weight)</c>.</summary>
/// <param name="Case">Direction, types and shapes.</param>
/// <param name="X">[Rows, Depth]: x, or dy.</param>
/// <param name="Weight">W: [Columns, Depth] forward (transposed in the product), [Depth, Columns] for the input
/// gradient.</param>
/// <param name="Y">Result [Rows, Columns]; written or added to.</param>
/// <param name="Accumulate">Add to what Y holds.</param>
internal readonly record struct QuantizedProduct(
    QuantizedCase Case,
    ColumnRange X,
    QuantizedMatrix Weight,
    ColumnRange Y,
    bool Accumulate
)
{
    public bool Transposed => Case.Direction == LowRankDirection.Forward;
}
