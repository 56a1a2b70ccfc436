using Spectral.Training.Spectra;

namespace Spectral.Cli.Spectra;

/// <summary>The checkpoint with scaled intruder dimensions that <c>analyze --mitigate</c> wrote.</summary>
/// <param name="Out">The folder of the checkpoint.</param>
/// <param name="Settings">Which vectors were scaled, and the factor.</param>
/// <param name="Vectors">The number of intruders in all matrices.</param>
/// <param name="Matrices">The matrices that have any, in model order.</param>
internal sealed record MitigationReport(
    string Out,
    MitigationOptions Settings,
    int Vectors,
    IReadOnlyList<MitigatedMatrix> Matrices
)
{
    /// <summary>The result in a sentence.</summary>
    public string InWords(int matrices) =>
        FormattableString.Invariant($"Mitigated: {Vectors} intruder dimension{(Vectors == 1 ? " was" : "s were")} ")
        + FormattableString.Invariant($"scaled by {Settings.Factor}, in {Matrices.Count} of {matrices} matrices; ")
        + $"the checkpoint is in {Out}.";
}
