using System.Globalization;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>One row of numbers for each matrix: the CSV file's, under fixed heads.</summary>
internal static class SpectraTable
{
    private static readonly (string Head, Func<MatrixSpectra, object?> Value)[] Columns =
    [
        ("name", m => m.Name),
        ("module", m => m.Module),
        ("layer", m => m.Layer),
        ("out", m => m.Out),
        ("in", m => m.In),
        ("base_type", m => m.BaseType),
        ("tuned_type", m => m.TunedType),
        ("svd", m => m.Svd.Method),
        ("computed", m => m.Svd.Computed),
        ("top_k", m => m.TopK),
        ("base_norm", m => m.Norms.Base),
        ("change_norm", m => m.Norms.Change),
        ("relative_change", m => m.Norms.Relative),
        ("noise_ratio", m => m.Noise.Ratio),
        ("sigma1_base", m => m.Values.Base[0]),
        ("sigma1_tuned", m => m.Values.Tuned[0]),
        ("first_ratio", m => m.Values.FirstRatio),
        ("amplification", m => Top(m).Share),
        ("amplification_z", m => m.Verdict.AmplificationZ),
        ("share_positive", m => m.Values.SharePositive),
        ("first_order_correlation", m => m.Values.FirstOrderCorrelation),
        .. Bins("relative", bin => bin.Relative),
        .. Bins("matched_left", bin => bin.MatchedLeft),
        .. Bins("matched_right", bin => bin.MatchedRight),
        .. Bins("best_left", bin => bin.BestLeft),
        .. Bins("best_right", bin => bin.BestRight),
        ("similarity_left", m => Angles(m).Left.Similarity),
        ("similarity_right", m => Angles(m).Right.Similarity),
        ("largest_angle_left", m => Angles(m).Left.Largest),
        ("largest_angle_right", m => Angles(m).Right.Largest),
        ("energy_top_top", m => Energy(m).TopTop),
        ("energy_top_bottom", m => Energy(m).TopBottom),
        ("energy_bottom_top", m => Energy(m).BottomTop),
        ("energy_bottom_bottom", m => Energy(m).BottomBottom),
        ("bottom_energy_z", m => m.Verdict.BottomEnergyZ),
        ("diagonal", m => Energy(m).Diagonal),
        ("stable_rank_base", m => m.Ranks.Base.Stable),
        ("stable_rank_tuned", m => m.Ranks.Tuned.Stable),
        ("stable_rank_change", m => m.Ranks.Change.Stable),
        ("effective_rank_base", m => m.Ranks.Base.Effective),
        ("effective_rank_tuned", m => m.Ranks.Tuned.Effective),
        ("effective_rank_change", m => m.Ranks.Change.Effective),
        ("energy90_change", m => m.Ranks.Change.Energy90),
        .. Intruders(),
        ("std_base", m => m.Entries.Base.StandardDeviation),
        ("std_tuned", m => m.Entries.Tuned.StandardDeviation),
        ("std_change", m => m.Entries.Change.StandardDeviation),
        ("kurtosis_base", m => m.Entries.Base.ExcessKurtosis),
        ("kurtosis_tuned", m => m.Entries.Tuned.ExcessKurtosis),
        ("ks_base", m => m.Entries.Base.KolmogorovSmirnov),
        .. Independence("base", m => m.Independence.Base),
        .. Independence("tuned", m => m.Independence.Tuned),
        .. Independence("change", m => m.Independence.Change),
        ("amplifies_top", m => m.Verdict.AmplifiesTop),
        ("reorients_top", m => m.Verdict.ReorientsTop),
        ("rest_stable", m => m.Verdict.RestStable),
    ];

    /// <summary>RFC 4180 with a head line; numbers with ten digits, an empty field for what is not defined.</summary>
    public static void Write(ModelSpectra spectra, Stream stream)
    {
        using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
        writer.WriteLine(string.Join(',', Columns.Select(column => column.Head)));
        foreach (MatrixSpectra matrix in spectra.Matrices)
            writer.WriteLine(string.Join(',', Columns.Select(column => Field(column.Value(matrix)))));
    }

    private static string Field(object? value) =>
        value switch
        {
            null => "",
            double number => double.IsFinite(number) ? number.ToString("G10", CultureInfo.InvariantCulture) : "",
            bool flag => flag ? "true" : "false",
            string text => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"")}\"",
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };

    private static Amplification Top(MatrixSpectra m) => m.Amplification.First(share => share.K == m.TopK);

    private static SubspaceAngles Angles(MatrixSpectra m) =>
        m.Subspaces.First(angles => angles.K == m.TopK && !angles.Bottom);

    private static UpdateEnergy Energy(MatrixSpectra m) => m.Energy.First(energy => energy.K == m.TopK);

    private static IEnumerable<(string, Func<MatrixSpectra, object?>)> Bins(
        string name,
        Func<BinSummary, double> value
    ) =>
        new[] { "top_1", "1_10", "10_50", "rest" }.Select(
            (bin, i) => ($"{name}_{bin}", (Func<MatrixSpectra, object?>)(m => value(m.Bins[i])))
        );

    private static (string, Func<MatrixSpectra, object?>)[] Independence(
        string state,
        Func<MatrixSpectra, EntryIndependence> entries
    ) =>
        [
            ($"row_correlation_{state}", m => entries(m).Rows.MeanSquare),
            ($"column_correlation_{state}", m => entries(m).Columns.MeanSquare),
            ($"beyond_{state}", m => entries(m).Spectrum.Beyond),
            ($"spectrum_distance_{state}", m => entries(m).Spectrum.Distance),
        ];

    private static IEnumerable<(string, Func<MatrixSpectra, object?>)> Intruders() =>
        new SpectraOptions().IntruderThresholds.SelectMany(
            (threshold, i) =>
                new (string, Func<MatrixSpectra, object?>)[]
                {
                    (
                        string.Create(CultureInfo.InvariantCulture, $"intruders_left_{threshold}"),
                        m => m.Intruders.Counts[i].Left
                    ),
                    (
                        string.Create(CultureInfo.InvariantCulture, $"intruders_right_{threshold}"),
                        m => m.Intruders.Counts[i].Right
                    ),
                }
        );
}
