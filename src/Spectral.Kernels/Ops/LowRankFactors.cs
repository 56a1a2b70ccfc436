namespace Spectral.Kernels.Ops;

/// <summary>
/// Describes a low-rank update of a weight [out, in]: <c>ΔW = Scale · Left · diag(Middle) · Right</c>. It borrows its
/// tensors.
/// </summary>
/// <param name="Left">L [out, p], of the type the layer computes in.</param>
/// <param name="Middle">c [p] F32, or null for all ones.</param>
/// <param name="Right">R [p, in], of the type the layer computes in.</param>
/// <param name="Scale">Factor of the whole update.</param>
public sealed record LowRankFactors(Tensor Left, Tensor? Middle, Tensor Right, float Scale = 1)
{
    /// <summary>Number of directions, p.</summary>
    public int Rank => Left.Dim(1);

    /// <summary>Checks that this is an update of a weight [outputs, inputs] on the device of an operand.</summary>
    /// <exception cref="ArgumentException">A factor's shape, type or device does not fit.</exception>
    internal void Verify(int outputs, int inputs, Tensor like)
    {
        Check.Floating(Left, like, [outputs, -1]);
        Check.Operand(Right, Left, [Rank, inputs]);
        if (Rank == 0)
            throw new ArgumentException($"{nameof(Left)} is {Left.Shape}, expected at least one column", nameof(Left));
        if (Middle is not null)
            Check.Operand(Middle, like, DType.F32, [Rank]);
    }
}
