using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// Rows of an embedding [V, D] that train while the others are frozen. It holds a copy of the base's table with these
/// rows replaced. The cost is the memory of a second table; gradients and optimizer state exist only for the rows.
/// </summary>
internal sealed class TrainedRows : IDisposable
{
    private readonly Parameter _rows;
    private readonly Dictionary<int, int> _places = [];
    private readonly List<(int Row, int Token, int Count)> _runs = [];

    /// <summary>Copies a table. <see cref="Refresh"/> then writes the rows into it.</summary>
    /// <param name="table">The table of the base, which is only read.</param>
    /// <param name="tokens">The tokens whose rows train, without repetition.</param>
    /// <param name="rows">The values of the rows [n, D]. The caller keeps ownership.</param>
    public TrainedRows(Parameter table, IReadOnlyList<int> tokens, Parameter rows)
    {
        _rows = rows;
        var copy = Tensor.Empty(table.Value.Device, table.Shape, table.Value.DType);
        copy.CopyFrom(table.Value);
        Table = new Parameter(table.Name, copy) { Rows = this };
        for (int i = 0; i < tokens.Count; i++)
        {
            _places.Add(tokens[i], i);
            // Tokens that were added to a vocabulary are consecutive, so that their rows form one block.
            if (_runs.Count > 0 && _runs[^1] is var last && last.Token + last.Count == tokens[i])
                _runs[^1] = last with { Count = last.Count + 1 };
            else
                _runs.Add((i, tokens[i], 1));
        }
    }

    /// <summary>The whole table in the compute type, with the trained rows in it.</summary>
    public Parameter Table { get; }

    /// <summary>The gradient of the rows, [n, D] F32; null while they do not train.</summary>
    public Tensor? Gradient => _rows.Gradient;

    /// <summary>Whether backward has to compute the gradient in the current step.</summary>
    public bool Trains => _rows.Trains;

    /// <summary>Returns the index of a token's row among the trained ones; −1 if it has none.</summary>
    public int PlaceOf(int token) => _places.GetValueOrDefault(token, -1);

    /// <summary>Writes the current values of the rows into the table.</summary>
    public void Refresh()
    {
        foreach ((int row, int token, int count) in _runs)
        {
            using Tensor part = _rows.Master.Rows(row, count);
            CopyBlock.Run(part, Table.Value, token, 0);
        }
    }

    /// <summary>
    /// Adds the gradient of a table that is applied as a head: the trained rows of dLogitsᵀ x [V, D].
    /// </summary>
    /// <param name="dLogits">The gradient of the logits, [K, V].</param>
    /// <param name="x">The input of the head, [K, D], of the same type.</param>
    public void AddGradient(Tensor dLogits, Tensor x)
    {
        using var picked = Tensor.Empty(x.Device, (x.Dim(0), _places.Count), x.DType);
        foreach ((int row, int token, int count) in _runs)
            CopyBlock.Run(new ColumnRange(dLogits, token, count), picked, 0, row);
        Gemm.Run(Gemm.Transposed(picked), x, Gradient!, 1, 1);
    }

    /// <summary>Disposes the copied table. The rows belong to the caller.</summary>
    public void Dispose() => Table.Dispose();
}
