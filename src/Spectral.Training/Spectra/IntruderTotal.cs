namespace Spectral.Training.Spectra;

/// <summary>The number of intruder dimensions in several matrices at one threshold.</summary>
/// <param name="Threshold">Threshold ε below which a vector is an intruder.</param>
/// <param name="Left">The sum over the matrices' leading left vectors.</param>
/// <param name="Right">The sum over the matrices' leading right vectors.</param>
/// <param name="MatricesWithLeft">The number of matrices with a left intruder.</param>
/// <param name="MatricesWithRight">The number of matrices with a right intruder.</param>
public sealed record IntruderTotal(double Threshold, int Left, int Right, int MatricesWithLeft, int MatricesWithRight)
{
    internal static IntruderTotal Of(IReadOnlyList<MatrixSpectra> matrices, int threshold)
    {
        IntruderCount[] counts = [.. matrices.Select(matrix => matrix.Intruders.Counts[threshold])];
        return new IntruderTotal(
            counts[0].Threshold,
            counts.Sum(count => count.Left),
            counts.Sum(count => count.Right),
            counts.Count(count => count.Left > 0),
            counts.Count(count => count.Right > 0)
        );
    }
}
