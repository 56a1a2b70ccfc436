using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Adapters.Expressions;

/// <summary>Matrices stacked below each other or side by side.</summary>
internal sealed class Concatenation : Expression
{
    private readonly Expression[] _parts;
    private readonly bool _rows;

    public Concatenation(Expression[] parts, bool rows)
        : base(Together(parts, rows), parts) => (_parts, _rows) = (parts, rows);

    protected override void Evaluate(Tensor value)
    {
        foreach ((Expression part, int row, int column) in Places())
            CopyBlock.Run(part.Value, value, row, column);
    }

    protected override void Backward(Tensor gradient)
    {
        foreach ((Expression part, int row, int column) in Places())
        {
            if (part.GradientBuffer(out bool adds) is not { } buffer)
                continue;
            if (adds)
                CopyBlock.Add(gradient, row, column, buffer);
            else
                CopyBlock.Take(gradient, row, column, buffer);
        }
    }

    private IEnumerable<(Expression Part, int Row, int Column)> Places()
    {
        int at = 0;
        foreach (Expression part in _parts)
        {
            yield return _rows ? (part, at, 0) : (part, 0, at);
            at += part.Shape[_rows ? 0 : 1];
        }
    }

    private static Shape Together(Expression[] parts, bool rows)
    {
        (int along, int across) = rows ? (0, 1) : (1, 0);
        if (
            parts.Length == 0
            || parts.Any(part => part.Shape.Rank != 2 || part.Shape[across] != parts[0].Shape[across])
        )
        {
            throw new ArgumentException(
                $"{(rows ? "rows" : "columns")} of {string.Join(", ", parts.Select(part => part.Shape))} together",
                nameof(parts)
            );
        }

        int sum = parts.Sum(part => part.Shape[along]);
        return rows ? (sum, parts[0].Shape[1]) : (parts[0].Shape[0], sum);
    }
}
