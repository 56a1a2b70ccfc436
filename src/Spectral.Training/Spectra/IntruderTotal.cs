namespace Spectral.Training.Spectra;

/// <summary>Intruders over several matrices.</summary>
/// <param name="Threshold">ε.</param>
/// <param name="Left">Sum over the matrices' leading left vectors.</param>
/// <param name="Right">Sum over the right ones.</param>
/// <param name="MatricesWithLeft">Matrices that have any on the left.</param>
/// <param name="MatricesWithRight">On the right.</param>
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
