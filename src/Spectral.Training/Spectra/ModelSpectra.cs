namespace Spectral.Training.Spectra;

/// <summary>What tuning did to the weight spectra of a model.</summary>
/// <param name="Model">All matrices together.</param>
/// <param name="Modules">By module type, in the order of a layer.</param>
/// <param name="Layers">By layer.</param>
/// <param name="Matrices">One by one, in model order.</param>
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
