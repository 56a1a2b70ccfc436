using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// The matrix of an SVD as the algorithms see it: F32, finite, scaled by a power of two into a range whose squares are
/// safe, and standing up (Rows ≥ Columns: a wide matrix is worked on as its transpose, without copying it). A quantised
/// one stays in its codes, and its products make a panel at a time plain numbers.
/// </summary>
internal sealed class SvdMatrix : IDisposable
{
    private const int SafeExponent = 32;
    private const int MostExponent = 126;

    private readonly FrozenWeight _stored;
    private readonly IDisposable? _own;
    private readonly bool _transposed;

    private SvdMatrix(FrozenWeight stored, IDisposable? own, int exponent, bool isZero = false)
    {
        (_stored, _own) = (stored, own);
        _transposed = stored.Rows < stored.Columns;
        (Rows, Columns) = _transposed ? (stored.Columns, stored.Rows) : (stored.Rows, stored.Columns);
        Scale = Math.ScaleB(1, exponent);
        IsZero = isZero;
    }

    public int Rows { get; }
    public int Columns { get; }

    /// <summary>Factor by which this matrix is multiplied to give the given one.</summary>
    public double Scale { get; }

    /// <summary>Whether the matrix is all zeros; known only after <see cref="Prepare"/>.</summary>
    public bool IsZero { get; }

    private Device Device => _stored.Device;

    /// <summary>
    /// Part of the largest value at or below which values are rounding: 2⁻²⁴ per row, but no more than 10⁻⁵, since a
    /// true value of 10⁻⁴ must survive.
    /// </summary>
    public float Tolerance => ToleranceOf(Rows);

    /// <summary>Returns <see cref="Tolerance"/> for a matrix with this many rows, standing up.</summary>
    public static float ToleranceOf(int rows) => Math.Min(rows * 5.9604645e-8f, 1e-5f);

    /// <summary>Checks the arguments, reads the matrix once, and converts or scales a copy where it must.</summary>
    /// <param name="a">The matrix.</param>
    /// <param name="rank">Wanted triplets.</param>
    /// <param name="name">What messages call the matrix.</param>
    public static SvdMatrix Prepare(FrozenWeight a, int rank, string name = "a")
    {
        CheckArguments(a, rank, name);
        double largest = a.Quantized is { } codes ? Largest(codes) : MatrixScan.Run(a.Dense.Matrix).Largest;
        if (!double.IsFinite(largest))
            throw new ArgumentException($"{name} [{a.Rows}, {a.Columns}] holds NaN or infinite values", name);
        int exponent =
            IsSafe(largest) || largest == 0 ? 0 : Math.Clamp(Math.ILogB(largest), -MostExponent, MostExponent);
        return Scaled(a, exponent, largest == 0);
    }

    /// <summary>
    /// Takes the matrix as it is, in F32, for an algorithm that checks its first product by <see cref="IsSafe"/>, which
    /// saves a pass over the matrix.
    /// </summary>
    public static SvdMatrix Unchecked(FrozenWeight a) => Scaled(a, 0, isZero: false);

    /// <summary>Returns whether a largest magnitude is finite and far from where squares overflow or vanish.</summary>
    public static bool IsSafe(double largest) =>
        largest >= Math.ScaleB(1, -SafeExponent) && largest <= Math.ScaleB(1, SafeExponent);

    /// <summary>Computes y = x Aᵀ: each row of y is A times a row of x.</summary>
    /// <param name="x">[r, Columns].</param>
    /// <param name="y">[r, Rows].</param>
    public void Apply(Tensor x, Tensor y) => Multiply(x, y, forward: !_transposed);

    /// <summary>Computes y = x Aᵀ for rows inside tensors.</summary>
    public void Apply(in GemmOperand x, in GemmOperand y, int vectors) =>
        Multiply(x, y, vectors, forward: !_transposed);

    /// <summary>Computes y = x A: each row of y is Aᵀ times a row of x.</summary>
    /// <param name="x">[r, Rows].</param>
    /// <param name="y">[r, Columns].</param>
    public void ApplyTransposed(Tensor x, Tensor y) => Multiply(x, y, forward: _transposed);

    /// <summary>Computes y = x A for rows inside tensors.</summary>
    public void ApplyTransposed(in GemmOperand x, in GemmOperand y, int vectors) =>
        Multiply(x, y, vectors, forward: _transposed);

    /// <summary>Returns the columns of A, one per row: [Columns, Rows].</summary>
    public Tensor ColumnsAsRows()
    {
        if (_transposed && _stored.Quantized is null)
            return _stored.Dense.Matrix.Share();
        var columns = Tensor.Empty(Device, (Columns, Rows));
        if (_stored.Quantized is not { } codes)
            MatrixCopy.Transpose(_stored.Dense.Matrix, columns);
        else if (_transposed)
            codes.Dequantize(0, columns);
        else
            TransposePanels(codes, columns);
        return columns;
    }

    /// <summary>Turns values and vectors of this matrix into those of the given one, and fixes their signs.</summary>
    /// <param name="left">[k, Rows], one vector per row.</param>
    /// <param name="values">k values of this matrix, truncated.</param>
    /// <param name="right">[k, Columns].</param>
    /// <param name="residualBound">Of this matrix.</param>
    /// <param name="method">What computed them.</param>
    public SvdResult Result(
        Tensor left,
        ReadOnlySpan<float> values,
        Tensor right,
        double residualBound,
        SvdMethod method
    )
    {
        (Tensor u, Tensor vt) = _transposed ? (right, left) : (left, right);
        SvdSteps.Signs(u, vt);
        var columns = Tensor.Empty(Device, (u.Dim(1), u.Dim(0)));
        MatrixCopy.Transpose(u, columns);
        return Result(columns, vt.Share(), values, Scale, residualBound, method);
    }

    /// <summary>Makes a decomposition from its vectors and the values of the matrix before its scale.</summary>
    public static SvdResult Result(
        Tensor u,
        Tensor vt,
        ReadOnlySpan<float> values,
        double scale,
        double residualBound,
        SvdMethod method
    )
    {
        int rank = values.IndexOf(0f) is >= 0 and var zeros ? zeros : values.Length;
        bool clusters = false;
        for (int i = 1; i < rank; i++)
            clusters |= values[i - 1] - values[i] < 1e-5f * values[i - 1];
        float[] scaled = new float[values.Length];
        for (int i = 0; i < scaled.Length; i++)
            scaled[i] = (float)(values[i] * scale);
        return new SvdResult(u, Tensor.From(u.Device, scaled, scaled.Length), vt)
        {
            ResidualBound = residualBound * scale,
            NumericalRank = rank,
            HasClusters = clusters,
            Method = method,
        };
    }

    /// <summary>
    /// Makes the decomposition of a matrix of zeros: the first columns of the identity on both sides.
    /// </summary>
    public SvdResult ZeroResult(int rank, SvdMethod method)
    {
        using Tensor left = Frame(rank, Rows);
        using Tensor right = Frame(rank, Columns);
        return Result(left, new float[rank], right, 0, method);
    }

    public void Dispose() => _own?.Dispose();

    /// <summary>Checks shape, type and rank.</summary>
    public static void CheckArguments(FrozenWeight a, int rank, string name = "a")
    {
        a.Whole(name);
        int smaller = Math.Min(a.Rows, a.Columns);
        if (rank < 1 || rank > smaller)
        {
            throw new ArgumentException(
                $"rank is {rank}, expected 1 to {smaller}, the smaller dimension of [{a.Rows}, {a.Columns}]",
                nameof(rank)
            );
        }
    }

    /// <summary>Checks that there is a stream of random numbers for each matrix, where streams are given.</summary>
    public static void CheckStreams(IReadOnlyList<ulong>? streams, int matrices)
    {
        if (streams is not null && streams.Count != matrices)
        {
            throw new ArgumentException(
                $"{streams.Count} streams, expected {matrices}, one per matrix",
                nameof(streams)
            );
        }
    }

    private static SvdMatrix Scaled(FrozenWeight a, int exponent, bool isZero)
    {
        float power = (float)Math.ScaleB(1, -exponent);
        if (a.Quantized is { } codes)
        {
            QuantizedMatrix? product = exponent == 0 ? null : codes.Times(power);
            return new SvdMatrix(product ?? codes, product, exponent, isZero);
        }

        Tensor matrix = a.Dense.Matrix;
        if (exponent == 0 && matrix.DType == DType.F32)
            return new SvdMatrix(matrix, null, 0, isZero);
        var copy = Tensor.Empty(matrix.Device, matrix.Shape);
        MatrixCopy.Run(matrix, copy, power);
        return new SvdMatrix(copy, copy, exponent, isZero);
    }

    // The largest magnitude, a panel of rows at a time.
    private static double Largest(QuantizedMatrix a)
    {
        double largest = 0;
        int height = PanelProduct.Width(a.Device, a.Rows, a.Columns);
        using var scratch = Tensor.Empty(a.Device, (height, a.Columns));
        for (int from = 0; from < a.Rows; from += height)
        {
            using Tensor panel = scratch.Rows(0, Math.Min(height, a.Rows - from));
            a.Dequantize(from, panel);
            largest = Math.Max(largest, MatrixScan.Run(panel).Largest);
        }

        return largest;
    }

    // Aᵀ, a panel of columns at a time.
    private static void TransposePanels(QuantizedMatrix a, Tensor transposed)
    {
        int width = PanelProduct.Width(a.Device, a.Columns, a.Rows);
        using var scratch = Tensor.Empty(a.Device, (width, a.Rows));
        for (int from = 0; from < a.Columns; from += width)
        {
            using Tensor rows = transposed.Rows(from, Math.Min(width, a.Columns - from));
            using Tensor part = scratch.Rows(0, rows.Dim(0));
            using Tensor panel = part.View((a.Rows, rows.Dim(0)));
            a.Dequantize(0, from, panel);
            MatrixCopy.Transpose(panel, rows);
        }
    }

    // y = x Wᵀ of the stored W, or x W.
    private void Multiply(Tensor x, Tensor y, bool forward)
    {
        if (forward)
            FrozenProduct.Forward(x, _stored, y);
        else
            FrozenProduct.InputGradient(x, _stored, y);
    }

    private void Multiply(in GemmOperand x, in GemmOperand y, int vectors, bool forward)
    {
        using Tensor from = RowsOf(x, vectors);
        using Tensor to = RowsOf(y, vectors);
        Multiply(from, to, forward);
    }

    private static Tensor RowsOf(in GemmOperand x, int count)
    {
        using Tensor all = x.Tensor.View(((int)(x.Tensor.Count / x.LeadingDimension), x.LeadingDimension));
        return all.Rows((int)(x.Offset / x.LeadingDimension), count);
    }

    private Tensor Frame(int rank, int length)
    {
        float[] identity = new float[(long)rank * length];
        for (int i = 0; i < rank; i++)
            identity[(long)i * length + i] = 1;
        return Tensor.From(Device, identity, (rank, length));
    }
}
