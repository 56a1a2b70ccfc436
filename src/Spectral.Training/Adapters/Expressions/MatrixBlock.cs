using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>A rectangle cut out of a matrix.</summary>
internal sealed class MatrixBlock : Expression
{
    private readonly Expression _x;
    private readonly int _row;
    private readonly int _column;

    public MatrixBlock(Expression x, int row, int column, int rows, int columns)
        : base((rows, columns), x)
    {
        if (x.Shape.Rank != 2 || row < 0 || column < 0 || row > x.Shape[0] - rows || column > x.Shape[1] - columns)
        {
            throw new ArgumentException(
                $"a rectangle [{rows}, {columns}] at row {row}, column {column} of {x.Shape}",
                nameof(x)
            );
        }

        (_x, _row, _column) = (x, row, column);
    }

    protected override void Evaluate(Tensor value) => CopyBlock.Take(_x.Value, _row, _column, value);

    protected override void Backward(Tensor gradient)
    {
        if (_x.GradientBuffer(out bool adds) is not { } buffer)
            return;
        if (!adds)
            buffer.Clear();
        CopyBlock.AddInto(gradient, buffer, _row, _column);
    }
}
