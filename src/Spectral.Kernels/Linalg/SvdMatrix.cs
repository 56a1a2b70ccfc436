using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// The matrix of an SVD as the algorithms see it: F32, finite, scaled by a power of two into a range whose squares are
/// safe, and standing up (Rows ≥ Columns: a wide matrix is worked on as its transpose, without copying it).
/// </summary>
internal sealed class SvdMatrix : IDisposable
{
    private const int SafeExponent = 32;
    private const int MostExponent = 126;

    private readonly Tensor _stored;
    private readonly bool _transposed;

    private SvdMatrix(Tensor stored, int exponent, bool isZero = false)
    {
        _stored = stored;
        _transposed = stored.Dim(0) < stored.Dim(1);
        (Rows, Columns) = _transposed ? (stored.Dim(1), stored.Dim(0)) : (stored.Dim(0), stored.Dim(1));
        Scale = Math.ScaleB(1, exponent);
        IsZero = isZero;
    }

    public int Rows { get; }
    public int Columns { get; }

    /// <summary>Factor by which this matrix is multiplied to give the given one.</summary>
    public double Scale { get; }

    /// <summary>Whether the matrix is all zeros; known only after <see cref="Prepare"/>.</summary>
    public bool IsZero { get; }

    public Device Device => _stored.Device;

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
    public static SvdMatrix Prepare(Tensor a, int rank, string name = "a")
    {
        CheckArguments(a, rank, name);
        (_, double largest) = MatrixScan.Run(a);
        if (!double.IsFinite(largest))
            throw new ArgumentException($"{name} {a.Shape} holds NaN or infinite values", name);
        int exponent =
            IsSafe(largest) || largest == 0 ? 0 : Math.Clamp(Math.ILogB(largest), -MostExponent, MostExponent);
        return exponent == 0 && a.DType == DType.F32
            ? new SvdMatrix(a.Share(), 0, largest == 0)
            : Copy(a, exponent, largest == 0);
    }

    /// <summary>
    /// Takes the matrix as it is, in F32, for an algorithm that checks its first product by <see cref="IsSafe"/>, which
    /// saves a pass over the matrix.
    /// </summary>
    public static SvdMatrix Unchecked(Tensor a) =>
        a.DType == DType.F32 ? new SvdMatrix(a.Share(), 0) : Copy(a, 0, isZero: false);

    /// <summary>Returns whether a largest magnitude is finite and far from where squares overflow or vanish.</summary>
    public static bool IsSafe(double largest) =>
        largest >= Math.ScaleB(1, -SafeExponent) && largest <= Math.ScaleB(1, SafeExponent);

    /// <summary>Computes y = x Aᵀ: each row of y is A times a row of x.</summary>
    /// <param name="x">[r, Columns].</param>
    /// <param name="y">[r, Rows].</param>
    public void Apply(Tensor x, Tensor y) => Gemm.Run(x, new GemmMatrix(_stored, !_transposed), y);

    /// <summary>Computes y = x Aᵀ for rows inside tensors.</summary>
    public void Apply(in GemmOperand x, in GemmOperand y, int vectors) =>
        Gemm.Run(x, Stored(!_transposed), y, new GemmSize(vectors, Rows, Columns));

    /// <summary>Computes y = x A: each row of y is Aᵀ times a row of x.</summary>
    /// <param name="x">[r, Rows].</param>
    /// <param name="y">[r, Columns].</param>
    public void ApplyTransposed(Tensor x, Tensor y) => Gemm.Run(x, new GemmMatrix(_stored, _transposed), y);

    /// <summary>Computes y = x A for rows inside tensors.</summary>
    public void ApplyTransposed(in GemmOperand x, in GemmOperand y, int vectors) =>
        Gemm.Run(x, Stored(_transposed), y, new GemmSize(vectors, Columns, Rows));

    /// <summary>Returns the columns of A, one per row: [Columns, Rows].</summary>
    public Tensor ColumnsAsRows()
    {
        if (_transposed)
            return _stored.Share();
        var columns = Tensor.Empty(Device, (Columns, Rows));
        MatrixCopy.Transpose(_stored, columns);
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

    public void Dispose() => _stored.Dispose();

    /// <summary>Checks shape, type and rank.</summary>
    public static void CheckArguments(Tensor a, int rank, string name = "a")
    {
        Check.Floating(a, [-1, -1], name);
        int smaller = Math.Min(a.Dim(0), a.Dim(1));
        if (rank < 1 || rank > smaller)
        {
            throw new ArgumentException(
                $"rank is {rank}, expected 1 to {smaller}, the smaller dimension of {a.Shape}",
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

    private static SvdMatrix Copy(Tensor a, int exponent, bool isZero)
    {
        var copy = Tensor.Empty(a.Device, a.Shape);
        MatrixCopy.Run(a, copy, (float)Math.ScaleB(1, -exponent));
        return new SvdMatrix(copy, exponent, isZero);
    }

    private GemmOperand Stored(bool transposed) => new(_stored, 0, _stored.Dim(1), Transposed: transposed);

    private Tensor Frame(int rank, int length)
    {
        float[] identity = new float[(long)rank * length];
        for (int i = 0; i < rank; i++)
            identity[(long)i * length + i] = 1;
        return Tensor.From(Device, identity, (rank, length));
    }
}
