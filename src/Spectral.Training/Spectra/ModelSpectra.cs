namespace Spectral.Training.Spectra;

/// <summary>The effect of tuning on the weight spectra of a model.</summary>
/// <param name="Model">The summary of all matrices.</param>
/// <param name="Modules">The summaries by module type, in the order of a layer.</param>
/// <param name="Layers">The summaries by layer.</param>
/// <param name="Matrices">The results for each matrix, in model order.</param>
public sealed record ModelSpectra(
    SpectraSummary Model,
    IReadOnlyList<SpectraSummary> Modules,
    IReadOnlyList<SpectraSummary> Layers,
    IReadOnlyList<MatrixSpectra> Matrices
)
{
    internal static ModelSpectra Of(IReadOnlyList<MatrixSpectra> matrices) =>
        new(
            SpectraSummary.Of(matrices),
            [
                .. matrices
                    .GroupBy(matrix => matrix.Module)
                    .Select(group => SpectraSummary.Of([.. group], module: group.Key)),
            ],
            [
                .. matrices
                    .GroupBy(matrix => matrix.Layer)
                    .Select(group => SpectraSummary.Of([.. group], layer: group.Key)),
            ],
            matrices
        );
}
