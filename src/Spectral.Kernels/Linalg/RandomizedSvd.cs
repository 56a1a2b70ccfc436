using Spectral.Kernels.Ops;

namespace Spectral.Kernels.Linalg;

/// <summary>
/// Computes a randomized truncated SVD (Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review
/// 2011) by subspace iteration from a Gaussian sketch, orthonormalised after every half step. The same seed gives the
/// same bits on one kind of device, with any number of threads.
/// </summary>
/// <example>
/// <code>
/// using SvdResult svd = RandomizedSvd.Compute(weight, rank: 32, new RandomizedSvdOptions { Seed = 1 });
/// float[] values = svd.S.ToArray(); // the 32 largest, descending
/// double bound = svd.ResidualBound; // of ‖W − U diag(S) Vᵀ‖₂
/// </code>
/// </example>
public static class RandomizedSvd
{
    /// <summary>Number of power iterations after which values that have not settled are taken as they are.</summary>
    public const int MostIterations = 32;

    private const int FirstCertain = 4;
    private const int LargestBatch = 64;
    private const long WorkingBytes = 1L << 30;

    // Of the largest value. On flat spectra the error falls like 1 / iterations, so that it is about the last change
    // times their number.
    private const double SettledError = 0.006;

    private const double ProbeFactor = 10 * 0.79788456080286536; // α √(2/π) with α = 10

    // Tighter than what orthonormalisation must reach, so that a marginal result is polished instead of returned.
    private const float FactorTolerance = 5e-6f;

    /// <summary>
    /// Computes the first <paramref name="rank"/> singular values and vectors of a matrix approximately.
    /// </summary>
    /// <remarks>
    /// With the default settings every value of at least 2.4 times the first one left out is within 10⁻⁴ of the
    /// largest, all within about a hundredth, and the Frobenius residual within 2 % of the best possible. Vectors
    /// within a cluster of values are not determined one by one. The host queues all steps and waits once, for the
    /// values; when a step failed its check, the matrix is done again step by step with the safer methods.
    /// </remarks>
    /// <param name="a">
    /// [m, n], F32 or BF16, or quantised: then products read its codes, and no tensor of its size is made.
    /// </param>
    /// <param name="rank">1 to the smaller of m and n.</param>
    /// <param name="options">Settings; null for the defaults.</param>
    /// <exception cref="ArgumentException">The rank or an option is out of range, or a holds NaN or infinite
    /// values.</exception>
    public static SvdResult Compute(FrozenWeight a, int rank, RandomizedSvdOptions? options = null)
    {
        options ??= new RandomizedSvdOptions();
        options.Validate();
        SvdMatrix.CheckArguments(a, rank);
        var results = new SvdResult[1];
        Batch([a], [options.Stream], [0], ["a"], rank, options, results);
        return results[0];
    }

    /// <summary>
    /// Decomposes many matrices; each gets the numbers that
    /// <see cref="Compute(FrozenWeight, int, RandomizedSvdOptions?)"/> gives it. On a GPU matrices of one shape and
    /// type are processed together, up to 64 matrices and 1 GiB of working memory at a time, so that the small steps
    /// do not wait for one another. Results of one batch share memory, which is freed when all have been disposed.
    /// </summary>
    /// <param name="matrices">
    /// Each [m, n], F32, BF16 or quantised, all on one device; shapes and types may differ.
    /// </param>
    /// <param name="rank">1 to the smallest dimension.</param>
    /// <param name="options">Settings; null for the defaults.</param>
    /// <param name="streams">A stream of random numbers for each matrix; null: that of the options for all.</param>
    /// <returns>In the order of the matrices.</returns>
    /// <exception cref="ArgumentException">The rank or an option is out of range, a matrix is on another device, or one
    /// holds NaN or infinite values.</exception>
    public static SvdResult[] Compute(
        IReadOnlyList<FrozenWeight> matrices,
        int rank,
        RandomizedSvdOptions? options = null,
        IReadOnlyList<ulong>? streams = null
    )
    {
        options ??= new RandomizedSvdOptions();
        options.Validate();
        SvdMatrix.CheckStreams(streams, matrices.Count);
        string[] names = new string[matrices.Count];
        for (int i = 0; i < names.Length; i++)
        {
            names[i] = $"matrices[{i}]";
            SvdMatrix.CheckArguments(matrices[i], rank, names[i]);
            Check.SameDevice(matrices[i].Device, matrices[0].Device, names[i]);
        }
        return SvdResult.All(
            matrices.Count,
            results =>
            {
                foreach (
                    IGrouping<(int Rows, int Columns, DType?), int> group in Enumerable
                        .Range(0, results.Length)
                        .GroupBy(i => (matrices[i].Rows, matrices[i].Columns, matrices[i].Type))
                )
                {
                    int batch = BatchSize(matrices[0].Device, group.Key.Rows, group.Key.Columns, rank, options);
                    foreach (int[] some in group.Chunk(batch))
                    {
                        Batch(
                            [.. some.Select(i => matrices[i])],
                            [.. some.Select(i => streams?[i] ?? options.Stream)],
                            some,
                            names,
                            rank,
                            options,
                            results!
                        );
                    }
                }
            }
        );
    }

    /// <summary>
    /// Returns how many matrices of one shape are processed together: 1 where the libraries do the small steps, as on
    /// the CPU device.
    /// </summary>
    /// <param name="device">Device that computes it.</param>
    /// <param name="rows">Rows of each matrix.</param>
    /// <param name="columns">Columns of each matrix.</param>
    /// <param name="rank">Number of singular values and vectors wanted.</param>
    /// <param name="options">Settings of the decomposition.</param>
    public static int BatchSize(Device device, int rows, int columns, int rank, RandomizedSvdOptions options)
    {
        int l = SketchSize(rows, columns, rank, options);
        return SmallSvd.OneBlock(device, l, options.Where)
            ? (int)Math.Clamp(WorkingBytes / SvdChain.BytesPerMatrix(rows, columns, l), 1, LargestBatch)
            : 1;
    }

    private static int SketchSize(int rows, int columns, int rank, RandomizedSvdOptions options) =>
        (int)Math.Min((long)rank + options.Oversample, Math.Min(rows, columns));

    // Matrices of one shape and type; results go to their places.
    private static void Batch(
        FrozenWeight[] matrices,
        ulong[] streams,
        int[] places,
        string[] names,
        int rank,
        RandomizedSvdOptions options,
        SvdResult[] results
    )
    {
        int l = SketchSize(matrices[0].Rows, matrices[0].Columns, rank, options);
        int target = options.PowerIterations;
        bool settles = Settles(options);
        bool kernels = SmallSvd.OneBlock(matrices[0].Device, l, options.Where);
        using var source = new SketchSource(matrices, l + SvdChain.Probes, kernels);
        using var chain = new SvdChain(source, rank, l, settles, kernels);
        chain.Begin(options.Seed, streams, last: target == 0);
        chain.To(target);
        chain.Finish();
        SvdChain.Outcome[] outcomes = chain.Read();
        var careful = new List<int>();
        var unsettled = new List<int>();
        for (int b = 0; b < outcomes.Length; b++)
        {
            if (!Accepted(outcomes[b]))
                careful.Add(b);
            else if (settles && !Settled(outcomes[b], target))
                unsettled.Add(b);
        }

        if (careful.Count + unsettled.Count < matrices.Length)
            Collect(chain, outcomes, b => !careful.Contains(b) && !unsettled.Contains(b), places, results);
        foreach (int b in unsettled)
        {
            if (!Continue(chain, matrices, b, places, rank, l, kernels, results))
                careful.Add(b);
        }

        foreach (int b in careful)
            results[places[b]] = Careful(matrices[b], names[places[b]], rank, options with { Stream = streams[b] });
    }

    // Further iterations for one matrix of a batch, in steps of half as many again; false when a check fails.
    private static bool Continue(
        SvdChain batch,
        FrozenWeight[] matrices,
        int b,
        int[] places,
        int rank,
        int l,
        bool kernels,
        SvdResult[] results
    )
    {
        using var source = new SketchSource(matrices.AsSpan(b, 1), l + SvdChain.Probes, kernels);
        using var chain = new SvdChain(source, rank, l, compares: true, kernels);
        chain.Resume(batch, b);
        while (true)
        {
            int target = Math.Min(chain.Iterations * 3 / 2, MostIterations);
            chain.To(target);
            chain.Finish();
            SvdChain.Outcome outcome = chain.Read()[0];
            if (!Accepted(outcome))
                return false;
            if (target < MostIterations && !Settled(outcome, target))
                continue;
            Collect(chain, [outcome], _ => true, [places[b]], results);
            return true;
        }
    }

    private static void Collect(
        SvdChain chain,
        SvdChain.Outcome[] outcomes,
        Func<int, bool> wanted,
        int[] places,
        SvdResult[] results
    )
    {
        (Tensor u, Tensor vt) = chain.Vectors();
        using (u)
        using (vt)
        {
            for (int b = 0; b < outcomes.Length; b++)
            {
                if (wanted(b))
                {
                    results[places[b]] = SvdMatrix.Result(
                        u.Rows(b * (u.Dim(0) / outcomes.Length), u.Dim(0) / outcomes.Length),
                        vt.Rows(b * (vt.Dim(0) / outcomes.Length), vt.Dim(0) / outcomes.Length),
                        outcomes[b].Kept,
                        scale: 1,
                        ProbeFactor * outcomes[b].ProbeNorm,
                        SvdMethod.Randomized
                    );
                }
            }
        }
    }

    private static bool Settles(RandomizedSvdOptions options) =>
        options.UntilSettled && options.PowerIterations is >= FirstCertain and < MostIterations;

    private static bool Accepted(in SvdChain.Outcome outcome) =>
        !outcome.Failed && outcome.FactorDeviation <= FactorTolerance; // also not NaN

    /// <summary>Returns whether the error that the last of so many iterations leaves is expected to be small.</summary>
    private static bool Settled(in SvdChain.Outcome outcome, int iterations) =>
        Settled(outcome.Before, outcome.Now, iterations);

    private static bool Settled(ReadOnlySpan<float> before, ReadOnlySpan<float> now, int iterations)
    {
        double change = 0;
        for (int i = 0; i < now.Length; i++)
            change = Math.Max(change, now[i] - before[i]);
        return iterations * change <= SettledError * now[0];
    }

    // One matrix with every step checked before the next: scaled into a safe range, and with bases by whichever method
    // succeeds.
    private static SvdResult Careful(FrozenWeight a, string name, int rank, RandomizedSvdOptions options)
    {
        using var matrix = SvdMatrix.Prepare(a, rank, name);
        if (matrix.IsZero)
            return matrix.ZeroResult(rank, SvdMethod.Randomized);
        Device device = a.Device;
        int m = matrix.Rows;
        int n = matrix.Columns;
        int l = SketchSize(m, n, rank, options);
        int target = options.PowerIterations;
        int most = Settles(options) ? MostIterations : target;
        using var vectors = Tensor.Empty(device, (l + SvdChain.Probes, n));
        using var images = Tensor.Empty(device, (l + SvdChain.Probes, m));
        GaussianMatrix.Run(vectors, options.Seed, options.Stream);
        matrix.Apply(vectors, images);
        using Tensor probes = vectors.Rows(l, SvdChain.Probes);
        using Tensor responses = images.Rows(l, SvdChain.Probes);
        using Tensor v = vectors.Rows(0, l);
        using Tensor y = images.Rows(0, l);
        using var q = Tensor.Empty(device, (l, m));
        using var z = Tensor.Empty(device, (l, n));
        using var core = Tensor.Empty(device, (l, l));
        using var coreLeft = Tensor.Empty(device, (l, l));
        using var coreRight = Tensor.Empty(device, (l, l));
        using var values = Tensor.Empty(device, l);
        float[] before = [];
        Orthonormalization.Rows(y, q, options.Where);
        for (int i = 0; ; i++)
        {
            matrix.ApplyTransposed(q, z);
            Orthonormalization.Rows(z, v, options.Where);
            if (i >= target || (i == target - 1 && i < most - 1))
            {
                // A ≈ Qᵀ (Z Vᵀ) V, with the basis vectors as rows.
                Gemm.Run(z, Gemm.Transposed(v), core);
                using (SmallSvd.Outcome outcome = SmallSvd.Run(core, coreLeft, values, coreRight, options.Where))
                    outcome.Sweeps();
                if (i == most)
                    break;
                float[] now = values.ToArray();
                if (i >= target && Settled(before.AsSpan(0, rank), now.AsSpan(0, rank), i))
                    break;
                before = now;
            }
            matrix.Apply(v, y);
            Orthonormalization.Rows(y, q, options.Where);
        }

        using var left = Tensor.Empty(device, (rank, m));
        using var right = Tensor.Empty(device, (rank, n));
        Gemm.Run(
            new GemmOperand(coreLeft, 0, l).Transpose(),
            new GemmOperand(q, 0, m),
            new GemmOperand(left, 0, m),
            new GemmSize(rank, m, l)
        );
        Gemm.Run(
            new GemmOperand(coreRight, 0, l),
            new GemmOperand(v, 0, n),
            new GemmOperand(right, 0, n),
            new GemmSize(rank, n, l)
        );
        using var s = Tensor.Empty(device, rank);
        using var coefficients = Tensor.Empty(device, (rank, SvdChain.Probes));
        using var norms = Tensor.Empty(device, SvdChain.Probes);
        Gemm.Run(right, Gemm.Transposed(probes), coefficients);
        SvdSteps.Truncate(values, s, coefficients, matrix.Tolerance);
        Gemm.Run(Gemm.Transposed(coefficients), left, responses, alpha: -1, beta: 1);
        using (Tensor residual = responses.View((1, SvdChain.Probes, m)))
            SvdSteps.Norms(residual, norms.Pointer, 0);
        Polish(left, options.Where);
        Polish(right, options.Where);
        return matrix.Result(left, s.ToArray(), right, ProbeFactor * norms.ToArray().Max(), SvdMethod.Randomized);
    }

    // Products of F32 bases may be a little further from orthonormal than promised.
    private static void Polish(Tensor vectors, SmallProblems where)
    {
        if (Orthonormalization.Deviation(vectors) <= FactorTolerance)
            return;
        using var rough = Tensor.Empty(vectors.Device, vectors.Shape);
        rough.CopyFrom(vectors);
        Orthonormalization.Rows(rough, vectors, where);
    }
}
