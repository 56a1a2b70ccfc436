namespace Spectral.Kernels.Ops;

/// <summary>
/// A low-rank update of a weight [out, in]: <c>ΔW = Scale · Left · diag(Middle) · Right</c>. It borrows its tensors.
/// </summary>
/// <param name="Left">L [out, p], of the type the layer computes in.</param>
/// <param name="Middle">c [p] F32, or null for all ones.</param>
/// <param name="Right">R [p, in], of the type the layer computes in.</param>
/// <param name="Scale">Factor of the whole update.</param>
public sealed record LowRankFactors(Tensor Left, Tensor? Middle, Tensor Right, float Scale = 1)
{
    /// <summary>p, the number of directions.</summary>
    public int Rank => Left.Dim(1);

    internal void Check(int outputs, int inputs, Device device)
    {
        Kernels.Check.Shape(Left, nameof(Left), outputs, -1);
        Kernels.Check.Shape(Right, nameof(Right), Rank, inputs);
        Kernels.Check.Floating(Left, nameof(Left));
        Kernels.Check.SameDType(Left, nameof(Left), Right, nameof(Right));
        Kernels.Check.SameDevice(device, Left, nameof(Left));
        Kernels.Check.SameDevice(device, Right, nameof(Right));
        if (Rank == 0)
            throw new ArgumentException($"{nameof(Left)} is {Left.Shape}, expected at least one column", nameof(Left));
        if (Middle is null)
            return;
        Kernels.Check.Shape(Middle, nameof(Middle), Rank);
        Kernels.Check.DType(Middle, nameof(Middle), DType.F32);
        Kernels.Check.SameDevice(device, Middle, nameof(Middle));
    }
}

/// <summary>
/// Where the gradients of the trainable part of <see cref="LowRankFactors"/> go, all F32; null where nothing is
/// trained. Columns of L and rows of R are trained from an index on, entries of c up to a count: frozen directions come
/// first.
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
    internal void Check(int outputs, int inputs, int rank, Device device)
    {
        if (Left is not null)
        {
            CheckRange(LeftFrom, rank, nameof(LeftFrom));
            CheckGradient(Left, nameof(Left), device, outputs, rank - LeftFrom);
        }
        if (Right is not null)
        {
            CheckRange(RightFrom, rank, nameof(RightFrom));
            CheckGradient(Right, nameof(Right), device, rank - RightFrom, inputs);
        }
        if (Middle is null)
            return;
        CheckGradient(Middle, nameof(Middle), device, -1);
        if (Middle.Dim(0) > rank)
        {
            throw new ArgumentException(
                $"{nameof(Middle)} is {Middle.Shape}, expected at most the rank {rank}",
                nameof(Middle)
            );
        }
    }

    internal static void CheckRange(int from, int rank, string name)
    {
        if (from < 0 || from > rank)
            throw new ArgumentOutOfRangeException(name, from, $"expected 0 to the rank {rank}");
    }

    private static void CheckGradient(Tensor gradient, string name, Device device, params ReadOnlySpan<int> shape)
    {
        Kernels.Check.Shape(gradient, name, shape);
        Kernels.Check.DType(gradient, name, DType.F32);
        Kernels.Check.SameDevice(device, gradient, name);
    }
}
