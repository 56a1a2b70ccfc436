using System.Runtime.InteropServices;
using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Runs subspace iterations for a batch of matrices of one shape and type. All steps are queued without waiting: each
/// leaves what its check needs in a report per matrix, which the host reads once at the end. A matrix gets the same
/// bits in any batch.
/// </summary>
/// <remarks>
/// With A standing up (m ≥ n; wide matrices are worked on as their transposes) and basis vectors as rows: Y = V Aᵀ, Q =
/// orth(Y), Z = Q A, V = orth(Z), so that A ≈ Qᵀ (Z Vᵀ) V. Bases in between only have to span their space: one pass of
/// CholeskyQR (F64 Gram matrix) keeps it to rounding while the condition number is below 3·10⁴. The bases that the
/// result is made of get a second pass.
/// </remarks>
internal sealed class SvdChain : IDisposable
{
    public const int Probes = 10;

    // Squared condition number that one pass takes: beyond it the F32 product leaves a basis that is no longer nearly
    // orthonormal.
    private const double LeastPivot = 1e-9;

    private readonly Device _device;
    private readonly SketchSource _source;
    private readonly int _batch;
    private readonly int _m;
    private readonly int _n;
    private readonly int _l;
    private readonly int _rank;
    private readonly int _cores;
    private readonly bool _kernels;
    private readonly SmallProblems _where;
    private readonly List<Tensor> _owned = [];
    private readonly Tensor _vectors;
    private readonly Tensor _images;
    private readonly Tensor _q;
    private readonly Tensor _z;
    private readonly Tensor _once;
    private readonly Tensor _gram;
    private readonly Tensor _inverse;
    private readonly Tensor _core;
    private readonly Tensor _coreLeft;
    private readonly Tensor _coreRight;
    private readonly Tensor _report;
    private readonly int _stride;
    private readonly int _valuesAt;
    private readonly int _keptAt;
    private readonly int _normsAt;
    private Tensor? _left;
    private Tensor? _right;
    private bool _isSafe = true;

    /// <param name="source">Matrices to decompose.</param>
    /// <param name="rank">Number of singular values and vectors wanted.</param>
    /// <param name="l">Number of vectors of the sketch.</param>
    /// <param name="compares">Whether the values of the iteration before the last are kept too.</param>
    /// <param name="kernels">Whether our kernels compute products and small problems; else the libraries do.</param>
    public SvdChain(SketchSource source, int rank, int l, bool compares, bool kernels)
    {
        (_source, _device, _rank, _l, _kernels) = (source, source.Device, rank, l, kernels);
        (_batch, _m, _n, _cores) = (source.Batch, source.Rows, source.Columns, compares ? 2 : 1);
        _where = kernels ? SmallProblems.OneBlock : SmallProblems.Library;
        _vectors = Own((_batch, l + Probes, _n));
        _images = Own((_batch, l + Probes, _m));
        _q = Own((_batch, l, _m));
        _z = Own((_batch, l, _n));
        _once = Own((_batch, l, _m));
        _gram = Own((_batch, l, l), DType.F64);
        _inverse = Own((_batch, l, l));
        _core = Own((_batch * _cores, l, l));
        _coreLeft = Own((_batch * _cores, l, l));
        _coreRight = Own((_batch * _cores, l, l));
        (_valuesAt, _keptAt, _normsAt) = (Status.Words, Status.Words + l, Status.Words + l + rank);
        _stride = _normsAt + Probes;
        _report = Own((_batch * _cores, _stride), DType.I32);
        _report.Clear();
    }

    /// <summary>Number of full iterations behind the basis V.</summary>
    public int Iterations { get; private set; }

    /// <summary>Returns the approximate working memory per matrix, in device bytes.</summary>
    public static long BytesPerMatrix(long m, long n, int l) =>
        (l + Probes) * (m + n) * (4 * 5 + 2 * SketchPass.Parts) + 64L * l * l * sizeof(double);

    /// <summary>
    /// Queues the sketch and the first half steps. The vectors that test the result go through the first pass together
    /// with the sketch.
    /// </summary>
    /// <param name="seed">Seed of the test matrices.</param>
    /// <param name="streams">Stream of random numbers of each matrix.</param>
    /// <param name="last">Whether no iteration will follow.</param>
    public void Begin(ulong seed, ReadOnlySpan<ulong> streams, bool last)
    {
        using Tensor table = AddressTable.Upload(_device, streams);
        GaussianMatrix.Run(_vectors, seed, table, _source.Parts);
        // Every element of a matrix has entered its images: a NaN or infinity anywhere shows in their maximum, as do
        // zeros and an extreme scale.
        _source.Apply(Rows(_vectors), Rows(_images), _l + Probes);
        if (_kernels)
            SketchPass.Largest(Rows(_images), (_l + Probes) * _m, _batch, At(Status.Range), _stride * _cores);
        else
            _isSafe = SvdMatrix.IsSafe(MatrixScan.Run(_images).Largest);
        Orthonormalize(Rows(_images), Rows(_q), _m, last);
        Back(last);
    }

    /// <summary>Takes over the basis V of one matrix of another chain.</summary>
    public void Resume(SvdChain other, int matrix)
    {
        foreach (
            (Tensor mine, Tensor theirs) in new[]
            {
                (_vectors, other._vectors),
                (_images, other._images),
                (_z, other._z),
            }
        )
        {
            using Tensor one = theirs.Rows(matrix, 1);
            mine.CopyFrom(one);
        }
        using Tensor report = other._report.Rows(matrix * _cores, _cores);
        _report.CopyFrom(report);
        // V again, the same bits, for what else is made of it
        Orthonormalize(Rows(_z), Rows(_vectors), _n, precise: true);
        Iterations = other.Iterations;
    }

    /// <summary>
    /// Iterates up to <paramref name="target"/>, and leaves the values there and, where they are compared, those of the
    /// iteration before.
    /// </summary>
    public void To(int target)
    {
        for (; Iterations < target; Iterations++)
        {
            bool precise = Iterations >= target - _cores;
            if (_cores == 2 && Iterations == target - 1)
                Core(0);
            _source.Apply(Rows(_vectors), Rows(_images), _l);
            Orthonormalize(Rows(_images), Rows(_q), _m, precise);
            Back(precise);
        }
        Core(_cores - 1);
        SmallSvd.Run(_core, _coreLeft, At(_valuesAt, 0), _coreRight, At(Status.Sweeps, 0), _stride, _where);
    }

    /// <summary>
    /// Computes the vectors from those of the cores, the residual of the probes, and how far the vectors are from
    /// orthonormal.
    /// </summary>
    public void Finish()
    {
        _left ??= Own((_batch, _rank, _m));
        _right ??= Own((_batch, _rank, _n));
        long core = (long)_l * _l;
        long last = (_cores - 1) * core;
        long stride = _cores * core;
        Product(
            new GemmOperand(_coreLeft, last, _l, stride).Transpose(),
            Rows(_q),
            Rows(_left),
            new GemmSize(_rank, _m, _l, _batch)
        );
        Product(
            new GemmOperand(_coreRight, last, _l, stride),
            Rows(_vectors),
            Rows(_right),
            new GemmSize(_rank, _n, _l, _batch)
        );

        using var coefficients = Tensor.Empty(_device, (_batch, _rank, Probes));
        using var residual = Tensor.Empty(_device, (_batch, Probes, _m));
        Product(
            Rows(_right),
            Rows(_vectors, _l).Transpose(),
            Rows(coefficients),
            new GemmSize(_rank, Probes, _n, _batch)
        );
        SvdSteps.Truncate(At(_valuesAt), At(_keptAt), _stride * _cores, coefficients, SvdMatrix.ToleranceOf(_m));
        Product(
            Rows(coefficients).Transpose(),
            Rows(_left),
            Rows(residual),
            new GemmSize(Probes, _m, _rank, _batch),
            alpha: -1,
            addend: Rows(_images, _l)
        );
        SvdSteps.Norms(residual, At(_normsAt), _stride * _cores);

        using var gram = Tensor.Empty(_device, (_batch, _rank, _rank), DType.F64);
        Gram.Run(Rows(_left), _m, gram, At(Status.FactorDeviation), _stride * _cores);
        Gram.Run(Rows(_right), _n, gram, At(Status.FactorDeviation), _stride * _cores);
    }

    /// <summary>Waits for the device and reads what the steps left for every matrix.</summary>
    public Outcome[] Read()
    {
        int[] all = _report.ToInt32Array();
        var outcomes = new Outcome[_batch];
        for (int b = 0; b < _batch; b++)
        {
            ReadOnlySpan<int> words = all.AsSpan(b * _cores * _stride, _cores * _stride);
            ReadOnlySpan<int> now = words[^_stride..];
            bool failed =
                now[Status.Pivot] != 0 || !(Single(now[Status.Deviation]) <= Orthonormalization.FirstPassTolerance);
            for (int core = 0; core < _cores; core++)
                failed |= SmallSvd.Failed(words[core * _stride + Status.Sweeps], _kernels);
            outcomes[b] = new Outcome
            {
                Failed = failed || !_isSafe || (_kernels && !SvdMatrix.IsSafe(Single(now[Status.Range]))),
                FactorDeviation = Single(now[Status.FactorDeviation]),
                Before = Floats(words.Slice(_valuesAt, _rank)),
                Now = Floats(now.Slice(_valuesAt, _rank)),
                Kept = Floats(now.Slice(_keptAt, _rank)),
                ProbeNorm = Floats(now.Slice(_normsAt, Probes)).Max(),
            };
        }
        return outcomes;
    }

    /// <summary>
    /// Returns U and Vᵀ of the given matrices, one after the other, with their signs fixed: [batch · rows, k] and
    /// [batch · k, columns].
    /// </summary>
    public (Tensor U, Tensor Vt) Vectors()
    {
        (Tensor u, Tensor vt, int rows, int columns) = _source.Transposed
            ? (_right!, _left!, _n, _m)
            : (_left!, _right!, _m, _n);
        using Tensor uRows = u.View((_batch * _rank, rows));
        Tensor vtRows = vt.View((_batch * _rank, columns));
        var uColumns = Tensor.Empty(_device, (_batch, rows, _rank));
        SvdSteps.Signs(uRows, vtRows);
        MatrixCopy.TransposeEach(u, uColumns);
        using (uColumns)
            return (uColumns.View((_batch * rows, _rank)), vtRows);
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _owned)
            tensor.Dispose();
    }

    private void Back(bool precise)
    {
        _source.ApplyTransposed(Rows(_q), Rows(_z), _l);
        Orthonormalize(Rows(_z), Rows(_vectors), _n, precise);
    }

    // Z Vᵀ of each matrix.
    private void Core(int which)
    {
        long square = (long)_l * _l;
        Product(
            Rows(_z),
            Rows(_vectors).Transpose(),
            new GemmOperand(_core, which * square, _l, _cores * square),
            new GemmSize(_l, _l, _n, _batch)
        );
    }

    // basis = orthonormal rows that span those of x, [l, length] of each matrix; precise: to rounding.
    private void Orthonormalize(in GemmOperand x, in GemmOperand basis, int length, bool precise)
    {
        if (_l > Orthonormalization.LargestCholesky)
        {
            using Tensor rows = basis.Tensor.View((basis.Tensor.Dim(1), length));
            using Tensor target = rows.Rows(0, _l); // one matrix: these sketches are too long for our kernels
            Tensor from = x.Tensor.View((x.Tensor.Dim(1), length));
            using Tensor source = from.Rows(0, _l);
            target.CopyFrom(source);
            _device.Solver.Householder(target);
            return;
        }
        var once = new GemmOperand(_once, 0, length, (long)_l * length);
        Gram.Run(x, length, _gram, 0, 0);
        CholeskyInverse.Run(_gram, _inverse, At(Status.Pivot), _stride * _cores, 0, precise ? 0 : LeastPivot, _where);
        Product(
            Rows(_inverse),
            x,
            precise ? once : basis,
            new GemmSize(_l, length, _l, _batch),
            parts: precise ? null : _source.Parts
        );
        if (!precise)
            return;
        Gram.Run(once, length, _gram, At(Status.Deviation), _stride * _cores);
        CholeskyInverse.Run(_gram, _inverse, At(Status.Pivot), _stride * _cores, 0, 0, _where);
        Product(Rows(_inverse), once, basis, new GemmSize(_l, length, _l, _batch), parts: _source.Parts);
    }

    private void Product(
        in GemmOperand a,
        in GemmOperand b,
        in GemmOperand c,
        in GemmSize size,
        float alpha = 1,
        GemmOperand? addend = null,
        Tensor? parts = null
    )
    {
        if (_kernels)
        {
            SketchProduct.Run(a, b, c, size, alpha, addend, parts);
            return;
        }
        if (addend is { } added)
        {
            using (
                Tensor view = added.Tensor.View((added.Tensor.Dim(1), size.N)),
                    rows = view.Rows((int)(added.Offset / size.N), size.M)
            )
            {
                c.Tensor.CopyFrom(rows);
            }
        }

        Gemm.Run(a, b, c, size, alpha, addend is null ? 0 : 1);
    }

    private static GemmOperand Rows(Tensor x, int from = 0) =>
        new(x, (long)from * x.Dim(2), x.Dim(2), (long)x.Dim(1) * x.Dim(2));

    // Of the last core of the first matrix, where each matrix's status is; or of another core.
    private ulong At(int word) => At(word, _cores - 1);

    private ulong At(int word, int core) => _report.Pointer + (ulong)(core * _stride + word) * sizeof(int);

    private static float Single(int bits) => BitConverter.Int32BitsToSingle(bits);

    private static float[] Floats(ReadOnlySpan<int> words) => MemoryMarshal.Cast<int, float>(words).ToArray();

    private Tensor Own(Shape shape, DType type = DType.F32)
    {
        var tensor = Tensor.Empty(_device, shape, type);
        _owned.Add(tensor);
        return tensor;
    }

    /// <summary>Report of the steps for one matrix.</summary>
    internal readonly record struct Outcome
    {
        /// <summary>Whether a check failed; the other values then mean nothing.</summary>
        public bool Failed { get; init; }

        /// <summary>Larger one of max |U Uᵀ − I| and max |V Vᵀ − I|.</summary>
        public float FactorDeviation { get; init; }

        /// <summary>
        /// Values of the iteration before the last (of the last where they are not compared) and of the last, and those
        /// that are kept.
        /// </summary>
        public float[] Before { get; init; }

        /// <inheritdoc cref="Before"/>
        public float[] Now { get; init; }

        /// <inheritdoc cref="Before"/>
        public float[] Kept { get; init; }

        /// <summary>Largest ‖(A − U diag(S) Vᵀ) ω‖ over the probes ω.</summary>
        public float ProbeNorm { get; init; }
    }

    // Words of a report before the values.
    private static class Status
    {
        public const int Range = 0;
        public const int Pivot = 1;
        public const int Deviation = 2;
        public const int FactorDeviation = 3;
        public const int Sweeps = 4;
        public const int Words = 8;
    }
}
