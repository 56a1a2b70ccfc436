namespace Spectral.Kernels.Ops;

/// <summary>
/// Holds the operands of one product of a low-rank layer: <c>Y (+)= X op(Weight) + Scale · Source op(Factor) +
/// Bias</c>.
/// </summary>
/// <param name="Case">Direction, type and shapes.</param>
/// <param name="X">[Rows, Depth]: x, or dy.</param>
/// <param name="Weight">W: [Columns, Depth] forward (transposed in the product), [Depth, Columns] for the input
/// gradient.</param>
/// <param name="Source">[Rows, Rank]: z or g, already times the middle diagonal; columns of a wider matrix where the
/// variant reads them there.</param>
/// <param name="Scale">1 unless the variant is a library's.</param>
/// <param name="Factor">L [Columns, Rank] (transposed in the product), or R [Rank, Columns].</param>
/// <param name="Bias">Bias [Columns] that is added to each row, or null.</param>
/// <param name="Y">Result [Rows, Columns]; written or added to.</param>
/// <param name="Accumulate">Add to what Y holds.</param>
internal readonly record struct LowRankProduct(
    LowRankCase Case,
    ColumnRange X,
    FrozenWeight Weight,
    ColumnRange Source,
    float Scale,
    ColumnRange Factor,
    Tensor? Bias,
    Tensor Y,
    bool Accumulate
)
{
    public bool Transposed => Case.Direction == LowRankDirection.Forward;
}
