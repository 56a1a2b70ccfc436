using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>
/// The product x·diag(D_1 … D_b), with D_i transposed or not. The block-diagonal matrix is never formed: column blocks
/// of x enter one batched product.
/// </summary>
internal sealed class BlockProduct : Expression
{
    private readonly Expression _x;
    private readonly Expression _blocks;
    private readonly bool _transpose;

    /// <param name="x">The left operand x [m, b·k].</param>
    /// <param name="blocks">The blocks D [b, k, n], or [b, n, k] if transposed.</param>
    /// <param name="transpose">Whether to multiply by D_iᵀ.</param>
    public BlockProduct(Expression x, Expression blocks, bool transpose)
        : base(Product(x.Shape, blocks.Shape, transpose), x, blocks) =>
        (_x, _blocks, _transpose) = (x, blocks, transpose);

    private (int Batch, int M, int K, int N) Sizes =>
        (_blocks.Shape[0], _x.Shape[0], _blocks.Shape[_transpose ? 2 : 1], _blocks.Shape[_transpose ? 1 : 2]);

    protected override void Evaluate(Tensor value)
    {
        (int batch, int m, int k, int n) = Sizes;
        Gemm.Run(
            Columns(_x.Value, k),
            Blocks(_blocks.Value) with
            {
                Transposed = _transpose,
            },
            Columns(value, n),
            new GemmSize(m, n, k, batch),
            1,
            0
        );
    }

    protected override void Backward(Tensor gradient)
    {
        (int batch, int m, int k, int n) = Sizes;
        if (_x.GradientBuffer(out bool adds) is { } dx)
        {
            Gemm.Run(
                Columns(gradient, n),
                Blocks(_blocks.Value) with
                {
                    Transposed = !_transpose,
                },
                Columns(dx, k),
                new GemmSize(m, k, n, batch),
                1,
                adds ? 1 : 0
            );
        }

        if (_blocks.GradientBuffer(out adds) is not { } dBlocks)
            return;
        if (_transpose)
        {
            Gemm.Run(
                Columns(gradient, n).Transpose(),
                Columns(_x.Value, k),
                Blocks(dBlocks),
                new GemmSize(n, k, m, batch),
                1,
                adds ? 1 : 0
            );
        }
        else
        {
            Gemm.Run(
                Columns(_x.Value, k).Transpose(),
                Columns(gradient, n),
                Blocks(dBlocks),
                new GemmSize(k, n, m, batch),
                1,
                adds ? 1 : 0
            );
        }
    }

    private static GemmOperand Columns(Tensor x, int width) => new(x, 0, x.Dim(1), width);

    private static GemmOperand Blocks(Tensor x) => new(x, 0, x.Dim(2), (long)x.Dim(1) * x.Dim(2));

    private static Shape Product(Shape x, Shape blocks, bool transpose) =>
        x.Rank == 2 && blocks.Rank == 3 && x[1] == blocks[0] * blocks[transpose ? 2 : 1]
            ? (x[0], blocks[0] * blocks[transpose ? 1 : 2])
            : throw new ArgumentException(
                $"a product of {x} and the block diagonal of {blocks}{(transpose ? " transposed" : "")}",
                nameof(blocks)
            );
}
