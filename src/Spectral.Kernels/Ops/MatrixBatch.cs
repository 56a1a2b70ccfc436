namespace Spectral.Kernels.Ops;

/// <summary>
/// Describes contiguous row-major matrices of one shape that lie at equal distances in a tensor, such as the same
/// factor of every layer.
/// </summary>
/// <param name="Tensor">The tensor that holds them.</param>
/// <param name="Offset">Elements before the first one.</param>
/// <param name="Rows">Rows of each matrix.</param>
/// <param name="Columns">Columns of each matrix.</param>
/// <param name="Count">The number of matrices.</param>
/// <param name="Stride">Elements from one matrix to the next.</param>
public readonly record struct MatrixBatch(
    Tensor Tensor,
    long Offset,
    int Rows,
    int Columns,
    int Count = 1,
    long Stride = 0
)
{
    /// <summary>Returns the operand of a product.</summary>
    public GemmOperand Operand => new(Tensor, Offset, Math.Max(1, Columns), Stride);

    internal long MatrixCount => (long)Rows * Columns;

    internal ulong Pointer => Tensor.Pointer + (ulong)(Offset * Tensor.DType.Size());

    /// <summary>Describes a whole tensor as a single matrix.</summary>
    /// <param name="tensor">[m, n].</param>
    internal static MatrixBatch Single(Tensor tensor) => new(tensor, 0, tensor.Dim(0), tensor.Dim(1));

    /// <summary>Checks that the matrices are F32 and lie within their tensor.</summary>
    /// <exception cref="ArgumentException">They are not, or do not.</exception>
    internal void Verify(string name)
    {
        Check.Operand(Tensor, DType.F32, name: name);
        long last = Offset + (Count - 1) * Stride + MatrixCount;
        if (Offset < 0 || Rows < 0 || Columns < 0 || Count < 1 || Stride < 0 || last > Tensor.Count)
        {
            throw new ArgumentException(
                $"{name}: {Count} × [{Rows}, {Columns}] at offset {Offset}, {Stride} apart, expected matrices within "
                    + $"{Tensor.Shape}",
                name
            );
        }
    }

    /// <summary>Checks that the matrices have the type and places of others.</summary>
    /// <exception cref="ArgumentException">They do not.</exception>
    internal void VerifyLike(in MatrixBatch like, string name)
    {
        Verify(name);
        Check.SameDevice(Tensor.Device, like.Tensor, name);
        if (this with { Tensor = like.Tensor } != like)
        {
            throw new ArgumentException(
                $"{name} is {Count} × [{Rows}, {Columns}] at offset {Offset}, {Stride} apart, expected {like.Count} × "
                    + $"[{like.Rows}, {like.Columns}] at offset {like.Offset}, {like.Stride} apart",
                name
            );
        }
    }
}
