using Spectral.Training.Numerics;

namespace Spectral.Training.Spectra;

/// <summary>Compares the entries of a matrix with independent ones of one distribution.</summary>
/// <param name="Rows">The comparison of the rows with one another.</param>
/// <param name="Columns">The comparison of the columns with one another.</param>
/// <param name="Spectrum">The comparison of the singular values with the law of Marchenko and Pastur.</param>
public sealed record EntryIndependence(LineCorrelation Rows, LineCorrelation Columns, MarchenkoPastur Spectrum)
{
    internal static EntryIndependence Of(HostMatrix matrix, EntryStatistics entries, Triplets triplets) =>
        new(
            LineCorrelation.OfRows(matrix, entries.Mean, entries.StandardDeviation),
            LineCorrelation.OfRows(matrix.Transposed(), entries.Mean, entries.StandardDeviation),
            MarchenkoPastur.Of(triplets, entries.StandardDeviation)
        );
}
