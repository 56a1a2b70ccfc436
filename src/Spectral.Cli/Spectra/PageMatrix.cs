using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>
/// The part of one matrix's analysis that the page's script needs; <see cref="MatrixSpectra"/> explains the numbers.
/// </summary>
internal sealed record PageMatrix
{
    private const int MostAngles = 20;
    private const int MostIntruders = 40;
    private const int MostClusters = 50;

    public required string Name { get; init; }

    public required string Module { get; init; }

    public required int Layer { get; init; }

    public required int Out { get; init; }

    public required int In { get; init; }

    public required int TopK { get; init; }

    public required IReadOnlyList<Amplification> Amplification { get; init; }

    public required IReadOnlyList<UpdateEnergy> Energy { get; init; }

    public required MatrixRanks Ranks { get; init; }

    public required MatrixEntries Entries { get; init; }

    public required PageStates Independence { get; init; }

    public required Verdict Verdict { get; init; }

    public required PageSvd Svd { get; init; }

    public required PageNorms Norms { get; init; }

    /// <summary>
    /// The positions in the spectrum, from 1, that <see cref="Values"/> and <see cref="Vectors"/> contain.
    /// </summary>
    public required int[] Positions { get; init; }

    public required PageValues Values { get; init; }

    public required PageVectors Vectors { get; init; }

    public required IReadOnlyList<PageSubspace> Subspaces { get; init; }

    public required PageIntruders Intruders { get; init; }

    public required IReadOnlyList<PageComparison> Null { get; init; }

    public required IReadOnlyList<PageBin> Bins { get; init; }

    /// <summary>Selects what the script needs from the analysis of a matrix.</summary>
    /// <param name="matrix">The matrix.</param>
    /// <param name="most">The maximum number of positions of its spectrum.</param>
    public static PageMatrix Of(MatrixSpectra matrix, int most)
    {
        int[] positions = PositionsOf(matrix.Values.Base.Length, most);
        return new PageMatrix
        {
            Name = matrix.Name,
            Module = matrix.Module,
            Layer = matrix.Layer,
            Out = matrix.Out,
            In = matrix.In,
            TopK = matrix.TopK,
            Amplification = matrix.Amplification,
            Energy = matrix.Energy,
            Ranks = matrix.Ranks,
            Entries = matrix.Entries,
            Independence = PageStates.Of(matrix.Independence),
            Verdict = matrix.Verdict,
            Svd = new PageSvd(matrix.Svd.Method, matrix.Svd.Computed, matrix.Svd.Truncated),
            Norms = new PageNorms(matrix.Norms.Relative),
            Positions = [.. positions.Select(position => position + 1)],
            Values = new PageValues(
                At(matrix.Values.Base, positions),
                At(matrix.Values.Tuned, positions),
                At(matrix.Values.Relative, positions),
                At(matrix.Update.Values, positions),
                MarchenkoPastur.Expected(positions, Math.Min(matrix.Out, matrix.In), Math.Max(matrix.Out, matrix.In))
            ),
            Vectors = new PageVectors(
                At(matrix.Vectors.MatchedLeft, positions),
                At(matrix.Vectors.MatchedRight, positions),
                At(matrix.Vectors.BestLeft, positions),
                At(matrix.Vectors.BestRight, positions),
                [.. matrix.Vectors.Clusters.Take(MostClusters)]
            ),
            Subspaces = [.. matrix.Subspaces.Where(space => !space.Bottom).Select(Subspace)],
            Intruders = new PageIntruders(matrix.Intruders.Searched, [.. matrix.Intruders.Counts.Select(Shortened)]),
            Null =
            [
                .. matrix
                    .Null.Comparisons.Where(comparison => comparison.Quantity == "relative")
                    .Select(comparison => new PageComparison(
                        comparison.Quantity,
                        comparison.Bin,
                        comparison.Gaussian,
                        comparison.Floor
                    )),
            ],
            Bins = [.. matrix.Bins.Select(bin => new PageBin(bin.Bin, bin.From, bin.To))],
        };
    }

    private static PageSubspace Subspace(SubspaceAngles space)
    {
        int angles = space.Left.Angles.Length;
        int most = Math.Min(angles, MostAngles);
        int[] chosen =
            most == 1 ? [0] : [.. Enumerable.Range(0, most).Select(i => (int)((long)i * (angles - 1) / (most - 1)))];
        return new PageSubspace(
            space.K,
            [.. chosen.Select(position => position + 1)],
            Side(space.Left, chosen),
            Side(space.Right, chosen)
        );
    }

    private static PageSide Side(SubspaceSide side, int[] chosen) =>
        new(side.Largest, side.Similarity, At(side.Angles, chosen));

    private static IntruderCount Shortened(IntruderCount count) =>
        count with
        {
            LeftPositions = [.. count.LeftPositions.Take(MostIntruders)],
            RightPositions = [.. count.RightPositions.Take(MostIntruders)],
        };

    /// <summary>
    /// Returns all positions of a short profile, and of a long one the first, the last and others at equal ratios.
    /// </summary>
    private static int[] PositionsOf(int length, int most)
    {
        if (length <= most)
            return [.. Enumerable.Range(0, length)];
        return
        [
            .. Enumerable
                .Range(0, most)
                .Select(i => Math.Max(i, (int)Math.Round(Math.Pow(length, i / (most - 1.0))) - 1))
                .Distinct(),
        ];
    }

    private static double[] At(double[] profile, int[] positions) =>
        [.. positions.Select(position => profile[position])];
}

/// <summary>How the singular values were computed.</summary>
internal sealed record PageSvd(string Method, int Computed, bool Truncated);

/// <summary>The size of the change relative to the base.</summary>
internal sealed record PageNorms(double Relative);

/// <summary>
/// Singular values at the matrix's positions: of the base, the tuned weight and the update, and those of independent
/// entries with variance 1 / max(out, in).
/// </summary>
internal sealed record PageValues(
    double[] Base,
    double[] Tuned,
    double[] Relative,
    double[] Change,
    double[] Independent
);

/// <summary>Cosines of singular vectors at the matrix's positions.</summary>
internal sealed record PageVectors(
    double[] MatchedLeft,
    double[] MatchedRight,
    double[] BestLeft,
    double[] BestRight,
    IReadOnlyList<VectorCluster> Clusters
);

/// <summary>The principal angles of one top subspace, at the given positions from 1.</summary>
internal sealed record PageSubspace(int K, int[] Positions, PageSide Left, PageSide Right);

/// <summary>The principal angles of one side, left or right.</summary>
internal sealed record PageSide(double Largest, double Similarity, double[] Angles);

/// <summary>Tuned singular vectors without a counterpart in the base.</summary>
internal sealed record PageIntruders(int Searched, IReadOnlyList<IntruderCount> Counts);

/// <summary>A quantity, measured for random updates.</summary>
internal sealed record PageComparison(string Quantity, string? Bin, NullStatistic Gaussian, double Floor);

/// <summary>A range of the spectrum: its first index, from 0, and the index after its last one.</summary>
internal sealed record PageBin(string Bin, int From, int To);

/// <summary>The independence of the entries of base, tuned weight and update.</summary>
internal sealed record PageStates(PageIndependence Base, PageIndependence Tuned, PageIndependence Change)
{
    public static PageStates Of(MatrixIndependence matrix) =>
        new(PageIndependence.Of(matrix.Base), PageIndependence.Of(matrix.Tuned), PageIndependence.Of(matrix.Change));
}

/// <summary>The entries of one matrix, compared with independent ones.</summary>
internal sealed record PageIndependence(
    double Rows,
    double RowsZ,
    double Columns,
    double ColumnsZ,
    int Beyond,
    double EnergyBeyond,
    double Distance
)
{
    public static PageIndependence Of(EntryIndependence entries) =>
        new(
            entries.Rows.MeanSquare,
            entries.Rows.MeanSquareZ,
            entries.Columns.MeanSquare,
            entries.Columns.MeanSquareZ,
            entries.Spectrum.Beyond,
            entries.Spectrum.EnergyBeyond,
            entries.Spectrum.Distance
        );
}
