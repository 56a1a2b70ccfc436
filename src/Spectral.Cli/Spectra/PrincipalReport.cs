using System.Globalization;
using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>The checkpoint with the principal part of each update that <c>analyze --principal</c> wrote.</summary>
/// <param name="Out">The folder of the checkpoint.</param>
/// <param name="Settings">How much of each update was kept.</param>
/// <param name="Matrices">The matrices that changed, in model order.</param>
internal sealed record PrincipalReport(string Out, PrincipalOptions Settings, IReadOnlyList<PrincipalMatrix> Matrices)
{
    /// <summary>The result in a sentence.</summary>
    public string InWords() =>
        Matrices.Count == 0
            ? $"Principal part: no matrix changed; the checkpoint in {Out} is the tuned model."
            : string.Create(
                CultureInfo.InvariantCulture,
                $"Principal part: of the updates of {Matrices.Count} matrices, {Matrices.Min(m => m.Rank)} to "
                    + $"{Matrices.Max(m => m.Rank)} triplets were kept, with "
                    + $"{100 * Matrices.Average(m => m.Energy):0.0}\u00a0% of the energy on average; "
                    + $"the checkpoint is in {Out}."
            );
}
