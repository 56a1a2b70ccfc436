using System.Runtime.CompilerServices;

namespace Spectral.Kernels.Ops;

/// <summary>
/// Names the tensors, all F32, that receive the gradients of the trainable part of <see cref="LowRankFactors"/>; null
/// where nothing is trained. Columns of L and rows of R are trained from an index on, entries of c up to a count:
/// frozen directions come first.
/// </summary>
/// <param name="Left">[out, p − LeftFrom]: gradient of the columns LeftFrom … p − 1 of L.</param>
/// <param name="LeftFrom">First trained column of L.</param>
/// <param name="Middle">[count]: gradient of the first entries of c.</param>
/// <param name="Right">[p − RightFrom, in]: gradient of the rows RightFrom … p − 1 of R.</param>
/// <param name="RightFrom">First trained row of R.</param>
public readonly record struct LowRankGradients(
    Tensor? Left = null,
    int LeftFrom = 0,
    Tensor? Middle = null,
    Tensor? Right = null,
    int RightFrom = 0
)
{
    /// <summary>
    /// Checks that these are gradients of an update of a weight [outputs, inputs] on the device of an operand.
    /// </summary>
    /// <exception cref="ArgumentException">A gradient's shape, type, device or first index does not fit.</exception>
    internal void Verify(int outputs, int inputs, int rank, Tensor like)
    {
        if (Left is not null)
        {
            VerifyFirst(LeftFrom, rank);
            Check.Operand(Left, like, DType.F32, [outputs, rank - LeftFrom]);
        }
        if (Right is not null)
        {
            VerifyFirst(RightFrom, rank);
            Check.Operand(Right, like, DType.F32, [rank - RightFrom, inputs]);
        }
        if (Middle is null)
            return;
        Check.Operand(Middle, like, DType.F32, [-1]);
        if (Middle.Dim(0) > rank)
        {
            throw new ArgumentException(
                $"{nameof(Middle)} is {Middle.Shape}, expected at most the rank {rank}",
                nameof(Middle)
            );
        }
    }

    private static void VerifyFirst(int from, int rank, [CallerArgumentExpression(nameof(from))] string name = "")
    {
        if (from < 0 || from > rank)
            throw new ArgumentOutOfRangeException(name, from, $"expected 0 to the rank {rank}");
    }
}
