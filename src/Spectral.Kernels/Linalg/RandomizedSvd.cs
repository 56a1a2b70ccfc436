namespace Spectral.Kernels;

/// <summary>Settings of <see cref="RandomizedSvd"/>.</summary>
public sealed record RandomizedSvdOptions
{
    /// <summary>Random vectors beyond the rank.</summary>
    public int Oversample { get; init; } = 16;

    /// <summary>
    /// Times that A Aᵀ is applied to the sketch; each costs two passes over the matrix. 0 to 3 are a preview and done exactly. From 4 on
    /// iterations continue, up to <see cref="RandomizedSvd.MostIterations"/>, until the values have settled: for all but nearly flat spectra
    /// they have at once.
    /// </summary>
    public int PowerIterations { get; init; } = 4;

    /// <summary>Seed of the test matrix.</summary>
    public ulong Seed { get; init; }

    /// <summary>Number of the test matrix under that seed, a layer's number for instance.</summary>
    public ulong Stream { get; init; }

    internal SmallProblems Where { get; init; }

    internal void Validate()
    {
        if (Oversample < 0) throw new ArgumentException($"oversample is {Oversample}, expected 0 or more", nameof(Oversample));
        if (PowerIterations < 0) throw new ArgumentException($"power iterations are {PowerIterations}, expected 0 or more", nameof(PowerIterations));
    }
}

/// <summary>
/// Randomized truncated SVD (Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 2011): subspace iteration from a
/// Gaussian sketch, orthonormalised after every half step. Same seed, same bits on one kind of device, with any number of threads.
/// </summary>
public static class RandomizedSvd
{
    /// <summary>Power iterations at which waiting for the values to settle ends.</summary>
    public const int MostIterations = 32;

    private const int Probes = 10, FirstCertain = 4;

    // Of the largest value. On flat spectra the error falls like 1 / iterations, so that it is about the last change times their number.
    private const double SettledError = 0.006;

    private const double ProbeFactor = 10 * 0.79788456080286536;   // α √(2/π) with α = 10

    // Tighter than what orthonormalisation must reach, so that a marginal result is polished instead of returned.
    private const float FactorTolerance = 5e-6f;

    /// <summary>The first <paramref name="rank"/> singular values and vectors of a matrix, approximately.</summary>
    /// <remarks>
    /// With the default settings every value of at least 2.4 times the first one left out is within 10⁻⁴ of the largest, all within about a
    /// hundredth, and the Frobenius residual within 2 % of the best possible. Vectors within a cluster of values are not determined one by one.
    /// The host waits only to look at the values; when a step failed its check, all is done again step by step with the safer methods.
    /// </remarks>
    /// <param name="a">[m, n], F32 or BF16.</param>
    /// <param name="rank">1 to the smaller of m and n.</param>
    /// <param name="options">Settings; null for the defaults.</param>
    /// <exception cref="ArgumentException">The rank or an option is out of range, or a holds NaN or infinite values.</exception>
    public static SvdResult Compute(Tensor a, int rank, RandomizedSvdOptions? options = null)
    {
        options ??= new RandomizedSvdOptions();
        options.Validate();
        using (SvdMatrix asItIs = SvdMatrix.Unchecked(a, rank))
            if (Attempt(asItIs, rank, options, checkRange: true, careful: false) is { } result) return result;
        using SvdMatrix matrix = SvdMatrix.Prepare(a, rank);
        if (matrix.IsZero) return matrix.ZeroResult(rank, SvdMethod.Randomized);
        SvdResult? scaled = matrix.Scale == 1 ? null : Attempt(matrix, rank, options, checkRange: false, careful: false);
        return scaled ?? Attempt(matrix, rank, options, checkRange: false, careful: true)!;
    }

    /// <summary>One run; null when the first product shows values out of range, or it was not careful and a check failed.</summary>
    private static SvdResult? Attempt(SvdMatrix matrix, int rank, RandomizedSvdOptions options, bool checkRange, bool careful)
    {
        Device device = matrix.Device;
        int l = (int)Math.Min((long)rank + options.Oversample, matrix.Columns), m = matrix.Rows, n = matrix.Columns;
        int fewest = options.PowerIterations, most = fewest < FirstCertain ? fewest : Math.Max(fewest, MostIterations), step = 0;
        using Tensor status = Tensor.Zeros(device, 2 * (most + 1) * Orthonormalization.Step.Ints, DType.I32);
        void Orthonormalize(Tensor x, Tensor basis)
        {
            if (careful) Orthonormalization.Rows(x, basis, options.Where);
            else Orthonormalization.Optimistic(x, basis, status, step++, options.Where);
        }

        // The vectors that test the result go through the first pass together with the sketch.
        using Tensor vectors = Tensor.Empty(device, (l + Probes, n)), images = Tensor.Empty(device, (l + Probes, m));
        GaussianMatrix.Run(vectors, options.Seed, options.Stream);
        matrix.Apply(vectors, images);
        // Every element has entered it: a NaN or infinity anywhere shows here, as do zeros and an extreme scale.
        if (checkRange && !SvdMatrix.IsSafe(MatrixScan.Run(images).Largest)) return null;
        using Tensor probes = vectors.Rows(l, Probes), responses = images.Rows(l, Probes), v = vectors.Rows(0, l), y = images.Rows(0, l);
        using Tensor q = Tensor.Empty(device, (l, m)), z = Tensor.Empty(device, (l, n));
        using Tensor core = Tensor.Empty(device, (l, l)), coreLeft = Tensor.Empty(device, (l, l)), coreRight = Tensor.Empty(device, (l, l)), values = Tensor.Empty(device, l);
        float[] before = [];
        Orthonormalize(y, q);
        for (int i = 0; ; i++)
        {
            matrix.ApplyTransposed(q, z);
            Orthonormalize(z, v);
            if (i >= fewest || (i == fewest - 1 && i < most - 1))
            {
                // A ≈ Qᵀ (Z Vᵀ) V, with the basis vectors as rows.
                Gemm.Run(z, false, v, true, core);
                using SmallSvd.Outcome outcome = SmallSvd.Run(core, coreLeft, values, coreRight, options.Where);
                if (!careful && !Orthonormalization.Accepted(status.ToInt32Array())) return null;
                outcome.Sweeps();
                if (i == most) break;
                float[] now = values.ToArray();
                if (i >= fewest && Settled(before.AsSpan(0, rank), now.AsSpan(0, rank), i)) break;
                before = now;
            }
            matrix.Apply(v, y);
            Orthonormalize(y, q);
        }

        using Tensor left = Tensor.Empty(device, (rank, m)), right = Tensor.Empty(device, (rank, n));
        Gemm.Run(new Gemm.Operand(coreLeft, 0, l), true, new Gemm.Operand(q, 0, m), false, new Gemm.Operand(left, 0, m), rank, m, l);
        Gemm.Run(new Gemm.Operand(coreRight, 0, l), false, new Gemm.Operand(v, 0, n), false, new Gemm.Operand(right, 0, n), rank, n, l);

        using Tensor s = Tensor.Empty(device, rank), coefficients = Tensor.Empty(device, (rank, Probes)), squares = Tensor.Empty(device, (Probes, Probes), DType.F64);
        Gemm.Run(right, false, probes, true, coefficients);
        SvdSteps.Truncate(values, s, coefficients, matrix.Tolerance);
        Gemm.Run(coefficients, true, left, false, responses, alpha: -1, beta: 1);
        Gram.Run(responses, squares);

        using Tensor deviation = Tensor.Zeros(device, 1, DType.I32), gram = Tensor.Empty(device, (rank, rank), DType.F64);
        Gram.Run(left, gram, deviation.Pointer);
        Gram.Run(right, gram, deviation.Pointer);
        bool orthonormal = BitConverter.Int32BitsToSingle(deviation.ToInt32Array()[0]) <= FactorTolerance;
        if (!orthonormal && !careful) return null;
        if (!orthonormal)
        {
            Polish(left, options.Where);
            Polish(right, options.Where);
        }
        double worst = 0;
        double[] squared = squares.ToDoubleArray();
        for (int i = 0; i < Probes; i++) worst = Math.Max(worst, Math.Sqrt(squared[i * (Probes + 1)]));
        return matrix.Result(left, s.ToArray(), right, ProbeFactor * worst, SvdMethod.Randomized);
    }

    /// <summary>Is the error that the last of so many iterations leaves to be expected small?</summary>
    private static bool Settled(ReadOnlySpan<float> before, ReadOnlySpan<float> now, int iterations)
    {
        double change = 0;
        for (int i = 0; i < now.Length; i++) change = Math.Max(change, now[i] - before[i]);
        return iterations * change <= SettledError * now[0];
    }

    private static void Polish(Tensor vectors, SmallProblems where)
    {
        using Tensor rough = Tensor.Empty(vectors.Device, vectors.Shape);
        rough.CopyFrom(vectors);
        Orthonormalization.Rows(rough, vectors, where);
    }
}
