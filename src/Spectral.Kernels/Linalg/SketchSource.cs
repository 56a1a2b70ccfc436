using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Applies the matrices of an <see cref="SvdChain"/>, all of one shape and type, to a few vectors. BF16 matrices are
/// read as they are by <see cref="SketchPass"/>, or copied to F32 where our kernels are not wanted; F32 and quantised
/// matrices are multiplied one by one.
/// </summary>
internal sealed class SketchSource : IDisposable
{
    private readonly Tensor? _table;
    private readonly Tensor? _parts;
    private readonly List<SvdMatrix> _wide = [];
    private readonly int _storedRows;
    private readonly int _storedColumns;

    /// <param name="matrices">At least one, all of one shape, type and device.</param>
    /// <param name="vectors">The most vectors of a pass.</param>
    /// <param name="kernels">Read BF16 directly.</param>
    public SketchSource(ReadOnlySpan<FrozenWeight> matrices, int vectors, bool kernels)
    {
        FrozenWeight first = matrices[0];
        (Device, Batch, _storedRows, _storedColumns) = (first.Device, matrices.Length, first.Rows, first.Columns);
        if (kernels && first.Type == DType.BF16)
        {
            ulong[] addresses = new ulong[Batch];
            for (int b = 0; b < Batch; b++)
                addresses[b] = matrices[b].Dense.Pointer;
            _table = AddressTable.Upload(Device, addresses);
            _parts = Tensor.Empty(Device, (Batch, SketchPass.Parts, vectors, Rows), DType.BF16);
            return;
        }
        foreach (FrozenWeight matrix in matrices)
            _wide.Add(SvdMatrix.Unchecked(matrix));
    }

    public Device Device { get; }
    public int Batch { get; }

    /// <summary>Whether the stored matrices are wide and are worked on as their transposes.</summary>
    public bool Transposed => _storedRows < _storedColumns;

    /// <summary>Larger dimension of the matrices.</summary>
    public int Rows => Math.Max(_storedRows, _storedColumns);

    /// <summary>Smaller dimension of the matrices.</summary>
    public int Columns => Math.Min(_storedRows, _storedColumns);

    /// <summary>
    /// Tensor in which the vectors for the next pass are to be left split in three, [batch, 3, vectors, length] from
    /// its beginning; null if they need not be split.
    /// </summary>
    public Tensor? Parts => _parts;

    /// <summary>Computes y_b = x_b A_bᵀ, with A standing up: each row of y_b is A_b times a row of x_b.</summary>
    /// <param name="x">[vectors, Columns] of each matrix; where <see cref="Parts"/> is used, what it holds.</param>
    /// <param name="y">[vectors, Rows] of each.</param>
    /// <param name="vectors">Rows of x and y.</param>
    public void Apply(in GemmOperand x, in GemmOperand y, int vectors)
    {
        if (_parts is not null)
            SketchPass.Run(_table!, _storedRows, _storedColumns, Transposed, _parts, vectors, y, Batch);
        for (int b = 0; b < _wide.Count; b++)
            _wide[b].Apply(Of(x, b), Of(y, b), vectors);
    }

    /// <summary>Computes y_b = x_b A_b: each row of y_b is A_bᵀ times a row of x_b.</summary>
    /// <param name="x">[vectors, Rows] of each matrix.</param>
    /// <param name="y">[vectors, Columns] of each.</param>
    /// <param name="vectors">Rows of x and y.</param>
    public void ApplyTransposed(in GemmOperand x, in GemmOperand y, int vectors)
    {
        if (_parts is not null)
            SketchPass.Run(_table!, _storedRows, _storedColumns, !Transposed, _parts, vectors, y, Batch);
        for (int b = 0; b < _wide.Count; b++)
            _wide[b].ApplyTransposed(Of(x, b), Of(y, b), vectors);
    }

    public void Dispose()
    {
        _table?.Dispose();
        _parts?.Dispose();
        foreach (SvdMatrix matrix in _wide)
            matrix.Dispose();
    }

    private static GemmOperand Of(in GemmOperand x, int matrix) => x with { Offset = x.Offset + matrix * x.Stride };
}
