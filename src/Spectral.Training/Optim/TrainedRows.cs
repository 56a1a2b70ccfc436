using Spectral.Kernels;
using Spectral.Kernels.Ops;

namespace Spectral.Training.Optim;

/// <summary>
/// Some rows of an embedding [V, D] that train while the others stay: a table of its own, the base's but for those
/// rows, and their masters. The memory of the table is needed once more, that of gradients and optimizer state for the
/// rows alone.
/// </summary>
internal sealed class TrainedRows : IDisposable
{
    private readonly Parameter _rows;
    private readonly Dictionary<int, int> _places = [];
    private readonly List<(int Row, int Token, int Count)> _runs = [];

    /// <summary>Copies a table; <see cref="Refresh"/> then puts the rows into it.</summary>
    /// <param name="table">The base's table, which is only read.</param>
    /// <param name="tokens">The rows, each once.</param>
    /// <param name="rows">Their values [n, D]; the caller keeps them.</param>
    public TrainedRows(Parameter table, IReadOnlyList<int> tokens, Parameter rows)
    {
        _rows = rows;
        var copy = Tensor.Empty(table.Value.Device, table.Shape, table.Value.DType);
        copy.CopyFrom(table.Value);
        Table = new Parameter(table.Name, copy) { Rows = this };
        for (int i = 0; i < tokens.Count; i++)
        {
            _places.Add(tokens[i], i);
            // Tokens that were added to a vocabulary follow one another: their rows are one block.
            if (_runs.Count > 0 && _runs[^1] is var last && last.Token + last.Count == tokens[i])
                _runs[^1] = last with { Count = last.Count + 1 };
            else
                _runs.Add((i, tokens[i], 1));
        }
    }

    /// <summary>The whole table in the compute type.</summary>
    public Parameter Table { get; }

    /// <summary>[n, D] F32; null while they do not train.</summary>
    public Tensor? Gradient => _rows.Gradient;

    /// <summary>The row of a token among the trained ones; −1: it has none.</summary>
    public int PlaceOf(int token) => _places.GetValueOrDefault(token, -1);

    /// <summary>Puts the rows' present values into the table.</summary>
    public void Refresh()
    {
        foreach ((int row, int token, int count) in _runs)
        {
            using Tensor part = _rows.Master.Rows(row, count);
            CopyBlock.Run(part, Table.Value, token, 0);
        }
    }

    /// <summary>
    /// Adds the gradient of a table that is applied as a head: of dLogitsᵀ x [V, D] the trained rows.
    /// </summary>
    /// <param name="dLogits">[K, V].</param>
    /// <param name="x">[K, D], same type.</param>
    public void AddGradient(Tensor dLogits, Tensor x)
    {
        using var picked = Tensor.Empty(x.Device, (x.Dim(0), _places.Count), x.DType);
        foreach ((int row, int token, int count) in _runs)
            CopyBlock.Run(new ColumnRange(dLogits, token, count), picked, 0, row);
        Gemm.Run(Gemm.Transposed(picked), x, Gradient!, 1, 1);
    }

    /// <summary>Lets go of the table.</summary>
    public void Dispose() => Table.Dispose();
}
